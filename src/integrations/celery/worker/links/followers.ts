/** What follows a task as its message says: callbacks, the next one of its chain, error callbacks, and its part of a chord. */
import { isText, objectOf } from '../../protocol/envelope.ts';
import type { TaskMessage } from '../../protocol/message.ts';
import { type StoredException, writeResult } from '../../protocol/result.ts';
import type { Broker, Outgoing } from '../broker/broker.ts';
import type { Request } from '../request/request.ts';
import type { Failure, Follow, Followers } from '../request/settler.ts';
import type { Canvas, Plan } from './canvas.ts';
import type { ChordPart, Chords } from './chords.ts';
import { numberIn, readSignature, signaturesIn, textIn } from './signature.ts';

export class MessageFollowers implements Followers {
  readonly #broker: Broker;
  readonly #canvas: Canvas;
  readonly #chords: Chords;
  readonly #onProblem: (problem: unknown, request?: Request) => void;

  constructor(
    broker: Broker,
    canvas: Canvas,
    chords: Chords,
    onProblem: (problem: unknown, request?: Request) => void,
  ) {
    this.#broker = broker;
    this.#canvas = canvas;
    this.#chords = chords;
    this.#onProblem = onProblem;
  }

  check({ message }: Request): void {
    this.#next(message, null);
    if (message.embed.chord !== undefined) readSignature(message.embed.chord);
  }

  #next({ id, rootId, embed }: TaskMessage, result: unknown): Plan {
    const sending = { args: [result], rootId, parentId: id };
    const plan = this.#canvas.plan(embed.callbacks, sending);
    const next = embed.chain.at(-1);
    if (next === undefined) return plan;
    const more = this.#canvas.plan([next], { ...sending, chain: embed.chain.slice(0, -1) });
    return {
      messages: [...plan.messages, ...more.messages],
      ids: [...plan.ids, ...more.ids],
      chordSizes: new Map([...plan.chordSizes, ...more.chordSizes]),
    };
  }

  async afterSuccess(request: Request, result: unknown): Promise<Follow> {
    const { message } = request;
    const plan = this.#next(message, result);
    await this.#setSizes(plan);
    const part = partOf(message, 'SUCCESS', result);
    if (part === undefined) return { messages: plan.messages, children: plan.ids, onSettled: nothing };
    const body = await this.#addPart(request, part, message.embed.chord);
    return { messages: [...plan.messages, ...body.messages], children: plan.ids, onSettled: body.onSettled };
  }

  /** Never rejects for what the message says: the failure is stored in any case. */
  async afterFailure(
    request: Request,
    { exception, traceback }: Failure,
    state: 'FAILURE' | 'REVOKED',
  ): Promise<Follow> {
    const { message } = request;
    const messages: Outgoing[] = [];
    const ends: (() => Promise<void>)[] = [];
    const attempt = async (step: () => Promise<Follow | Plan>) => {
      try {
        const follow = await step();
        messages.push(...follow.messages);
        if ('onSettled' in follow) ends.push(follow.onSettled);
        else await this.#setSizes(follow);
      } catch (error) {
        this.#onProblem(error, request);
      }
    };
    const { embed } = message;
    const part = partOf(message, state, exception);
    if (part !== undefined) await attempt(() => this.#addPart(request, part, embed.chord));
    if (state === 'FAILURE') {
      for (const next of embed.chain) await attempt(() => this.#fail(request, next, exception, traceback));
      await attempt(async () => this.#errbacks(embed.errbacks, message.id, message.rootId));
    }
    const onSettled = async () => {
      for (const end of ends) await end();
    };
    return { messages, children: [], onSettled };
  }

  /** What would have followed in the chain has failed, too. */
  async #fail(request: Request, next: unknown, exception: StoredException, traceback: string): Promise<Follow> {
    const { options } = readSignature(next);
    const taskId = textIn(options, 'task_id');
    const groupId = textIn(options, 'group_id');
    if (taskId === undefined) return { messages: [], children: [], onSettled: nothing };
    await this.#store(taskId, exception, traceback, groupId);
    const { chord } = options;
    if (chord === undefined || chord === null || groupId === undefined) {
      return { messages: [], children: [], onSettled: nothing };
    }
    const groupIndex = numberIn(options, 'group_index');
    return this.#addPart(request, { taskId, groupId, groupIndex, state: 'FAILURE', result: exception }, chord);
  }

  async #store(taskId: string, exception: StoredException, traceback: string, groupId?: string): Promise<void> {
    const record = { taskId, state: 'FAILURE', result: exception, traceback, dateDone: new Date(), groupId };
    await this.#broker.store(taskId, writeResult(record));
  }

  /** Error callbacks get the id of the task: Celery does so where it does not know their functions. */
  #errbacks(errbacks: readonly unknown[], taskId: string, rootId: string): Plan {
    return this.#canvas.plan(errbacks, { args: [taskId], rootId, parentId: taskId });
  }

  async #addPart({ message }: Request, part: ChordPart, body: unknown): Promise<Follow> {
    const end = await this.#chords.add(part);
    if (end === undefined) return { messages: [], children: [], onSettled: nothing };
    const onSettled = () => this.#chords.forget(part.groupId);
    const { rootId } = message;
    if (end.kind === 'results') {
      const plan = this.#canvas.plan([body], { args: [end.results], rootId, parentId: part.taskId });
      await this.#setSizes(plan);
      return { messages: plan.messages, children: [], onSettled };
    }
    const options = objectOf(objectOf(body)?.['options']) ?? {};
    const bodyId = options['task_id'];
    if (isText(bodyId)) await this.#store(bodyId, end.exception, '');
    const plan = this.#errbacks(signaturesIn(options['link_error']), isText(bodyId) ? bodyId : part.taskId, rootId);
    return { messages: plan.messages, children: [], onSettled };
  }

  async #setSizes({ chordSizes }: Plan): Promise<void> {
    for (const [groupId, size] of chordSizes) await this.#chords.setSize(groupId, size);
  }
}

function partOf(message: TaskMessage, state: string, result: unknown): ChordPart | undefined {
  const { id: taskId, groupId, groupIndex, embed } = message;
  return embed.chord === undefined || groupId === undefined
    ? undefined
    : { taskId, groupId, groupIndex, state, result };
}

async function nothing(): Promise<void> {}
