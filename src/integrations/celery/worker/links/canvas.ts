/**
 * The messages of a signature, as Celery sends them: of a task, a chain, a group, or a chord whose header has tasks and chains.
 * Pure: it sends nothing.
 */
import { randomUUID } from 'node:crypto';
import { objectOf } from '../../protocol/envelope.ts';
import { writeTaskMessage } from '../../protocol/message.ts';
import type { Names } from '../../protocol/names.ts';
import type { Outgoing } from '../broker/broker.ts';
import { BadSignature, numberIn, readSignature, type Signature, signaturesIn, textIn, timeIn } from './signature.ts';

/** What a signature is sent with. */
export interface Sending {
  /** Before its own arguments. */
  readonly args: readonly unknown[];
  readonly rootId: string;
  readonly parentId: string;
  /** Signatures that follow it; the next one is the last. */
  readonly chain?: readonly unknown[];
  readonly chord?: unknown;
  readonly groupId?: string | undefined;
  readonly groupIndex?: number | undefined;
}

/** What is to be sent. */
export interface Plan {
  readonly messages: Outgoing[];
  /** The ids of the tasks, without those that follow them. */
  readonly ids: string[];
  /** How many parts the chords have, by group: stored before anything is sent. */
  readonly chordSizes: Map<string, number>;
}

export class Canvas {
  readonly #names: Names;
  readonly #queueOf: (task: string) => string;

  /** @param queueOf The queue of a task whose signature names none. */
  constructor(names: Names, queueOf: (task: string) => string) {
    this.#names = names;
    this.#queueOf = queueOf;
  }

  /** @throws BadSignature, or TypeError for what is no JSON */
  plan(signatures: readonly unknown[], sending: Sending): Plan {
    const plan: Plan = { messages: [], ids: [], chordSizes: new Map() };
    for (const each of signatures) this.#add(plan, readSignature(each), sending);
    return plan;
  }

  #add(plan: Plan, signature: Signature, sending: Sending): void {
    switch (signature.kind) {
      case 'chain':
        this.#addChain(plan, signature, sending);
        break;
      case 'group':
        this.#addGroup(plan, signature, sending);
        break;
      case 'chord':
        this.#addChord(plan, signature, sending);
        break;
      default:
        this.#addTask(plan, signature, sending);
    }
  }

  #addTask(plan: Plan, { task, args, kwargs, options, isImmutable }: Signature, sending: Sending): void {
    const id = textIn(options, 'task_id') ?? randomUUID();
    const queue = textIn(options, 'queue') ?? textIn(options, 'routing_key') ?? this.#queueOf(task);
    const priority = numberIn(options, 'priority') ?? 0;
    const [hard, soft] = [numberIn(options, 'time_limit'), numberIn(options, 'soft_time_limit')];
    const text = writeTaskMessage({
      id,
      task,
      args: isImmutable ? args : [...sending.args, ...args],
      kwargs,
      queue,
      priority,
      eta: timeIn(options, 'eta', 'countdown'),
      expires: timeIn(options, 'expires', 'expires'),
      timeLimits: { hardMs: hard && hard * 1_000, softMs: soft && soft * 1_000 },
      ignoresResult: options['ignore_result'] === true,
      replyTo: textIn(options, 'reply_to'),
      rootId: sending.rootId,
      parentId: sending.parentId,
      groupId: textIn(options, 'group_id') ?? sending.groupId,
      groupIndex: numberIn(options, 'group_index') ?? sending.groupIndex,
      embed: {
        callbacks: signaturesIn(options['link']),
        errbacks: signaturesIn(options['link_error']),
        chain: sending.chain ?? signaturesIn(options['chain']),
        chord: sending.chord ?? options['chord'],
      },
    });
    plan.messages.push({ list: this.#names.list(queue, priority), text });
    plan.ids.push(id);
  }

  /** The first one is sent with the others after it; what is said of the chain is for its last one. */
  #addChain(plan: Plan, signature: Signature, sending: Sending): void {
    const { options, kwargs, args, isImmutable } = signature;
    const tasks = signaturesIn(kwargs['tasks']);
    if (tasks.length === 0) throw new BadSignature('a chain has no tasks');
    const errbacks = signaturesIn(options['link_error']);
    const changed = tasks.map((each, i) => {
      const isLast = i === tasks.length - 1;
      if (!isLast && readSignature(each).kind !== undefined) {
        throw new BadSignature(
          "a CeleryWorker can't send a chain with a group or chord before its end: start it in Python",
        );
      }
      return isLast ? withEnd(each, signature, sending, errbacks) : withErrbacks(each, errbacks);
    });
    const [first, ...rest] = changed;
    const given = isImmutable ? args : [...sending.args, ...args];
    const { chord: _chord, groupId: _groupId, groupIndex: _groupIndex, ...start } = sending;
    const chain = [...(sending.chain ?? []), ...rest.reverse()];
    const isAlone = tasks.length === 1;
    this.#add(plan, readSignature(first), { ...(isAlone ? sending : start), args: given, chain });
  }

  #addGroup(plan: Plan, { options, kwargs, args, isImmutable }: Signature, sending: Sending): void {
    const groupId = textIn(options, 'task_id') ?? randomUUID();
    const chord = sending.chord ?? options['chord'] ?? undefined;
    this.#addMembers(plan, signaturesIn(kwargs['tasks']), {
      args: isImmutable ? args : [...sending.args, ...args],
      rootId: sending.rootId,
      parentId: sending.parentId,
      groupId,
      chord,
    });
  }

  /** The header is sent; each of its tasks knows the body, which the last one to end sends. */
  #addChord(plan: Plan, { options, kwargs, args, isImmutable }: Signature, sending: Sending): void {
    const { header, body } = kwargs;
    const group = Array.isArray(header) ? undefined : readSignature(header);
    const members = group === undefined ? signaturesIn(header) : signaturesIn(group.kwargs['tasks']);
    const { task_id: taskId, ...rest } = options;
    const bodyOptions = {
      ...rest,
      ...objectOf(objectOf(body)?.['options']),
      ...(taskId !== undefined &&
        objectOf(objectOf(body)?.['options'])?.['task_id'] === undefined && { task_id: taskId }),
      ...(sending.chain !== undefined && sending.chain.length > 0 && { chain: sending.chain }),
      ...(sending.chord !== undefined && { chord: sending.chord }),
      ...(sending.groupId !== undefined && { group_id: sending.groupId }),
      ...(sending.groupIndex !== undefined && { group_index: sending.groupIndex }),
    };
    const { task: bodyTask } = readSignature(body);
    if (members.length === 0) throw new BadSignature(`the chord of ${bodyTask} has no tasks in its header`);
    this.#addMembers(plan, members, {
      args: isImmutable ? args : [...sending.args, ...args],
      rootId: sending.rootId,
      parentId: sending.parentId,
      groupId: (group && textIn(group.options, 'task_id')) ?? randomUUID(),
      chord: { ...(body as object), options: bodyOptions },
    });
  }

  #addMembers(plan: Plan, members: readonly unknown[], sending: Sending & { readonly groupId: string }): void {
    members.forEach((each, groupIndex) => {
      const member = readSignature(each);
      if (member.kind === 'group' || member.kind === 'chord') {
        throw new BadSignature(`a CeleryWorker can't send a group with a ${member.kind} in it: start it in Python`);
      }
      this.#add(plan, member, { ...sending, groupIndex });
    });
    if (sending.chord !== undefined) plan.chordSizes.set(sending.groupId, members.length);
  }
}

function withErrbacks(signature: unknown, errbacks: readonly unknown[]): unknown {
  if (errbacks.length === 0) return signature;
  const { options, ...rest } = signature as { readonly options?: Readonly<Record<string, unknown>> };
  return { ...rest, options: { ...options, link_error: [...signaturesIn(options?.['link_error']), ...errbacks] } };
}

/** The last one of a chain, with what is said of the whole. */
function withEnd(last: unknown, chain: Signature, sending: Sending, errbacks: readonly unknown[]): unknown {
  const { options, ...rest } = withErrbacks(last, errbacks) as { readonly options?: Readonly<Record<string, unknown>> };
  const ofChain: Record<string, unknown> = {};
  for (const key of ['task_id', 'group_id', 'group_index', 'chord']) {
    if (chain.options[key] !== undefined) ofChain[key] = chain.options[key];
  }
  const links = [...signaturesIn(options?.['link']), ...signaturesIn(chain.options['link'])];
  return {
    ...rest,
    options: {
      ...(sending.groupId !== undefined && { group_id: sending.groupId }),
      ...(sending.groupIndex !== undefined && { group_index: sending.groupIndex }),
      ...(sending.chord !== undefined && { chord: sending.chord }),
      ...ofChain,
      ...options,
      ...(links.length > 0 && { link: links }),
    },
  };
}
