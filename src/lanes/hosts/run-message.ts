/** Sends a batch to a host, and finds the tasks of it that can't be sent. */
import { shownAttempt } from '../../task/call/task-options.ts';
import { type WireDefinition, wireDefinition } from '../../task/definition/definition.ts';
import type { LaneTask } from '../lane.ts';
import { findBuffers } from '../wire/buffers.ts';
import { type ArgsColumn, packArgs, packIds, packPrimitives } from '../wire/columns.ts';
import type { RunMessage } from '../wire/protocol.ts';
import type { Host } from './host.ts';
import { type SendFailure, transfersOf } from './send-failure.ts';

/** How many definitions a host keeps. There may be many, because each call may send a new function by its source. */
const maxDefinitions = 500;

/** The oldest definitions that a host has to forget before it loads those of a task. */
function oldestOf(known: ReadonlyMap<number, WireDefinition>, task: LaneTask): readonly number[] {
  const needed = definitionsOf(task).map(({ index }) => index);
  const others = [...known.keys()].filter((index) => !needed.includes(index));
  return others.slice(0, Math.max(0, known.size - maxDefinitions + 1));
}

/**
 * Sends a batch, and returns the tasks that can't be sent; for a batch of one task, nothing was sent then.
 * @param first The number of its first item.
 * @param known Given if the host has to load definitions: those that it has. The oldest are forgotten if there are too many.
 */
export function sendBatch<T extends LaneTask>(
  host: Host,
  batch: readonly T[],
  first: number,
  known?: Map<number, WireDefinition>,
): readonly SendFailure<T>[] {
  const forget = known && oldestOf(known, batch[0] as T);
  const message = runMessage(batch, first, forget);
  if (batch.length > 1) return sendMany(host, message, batch);
  const failures = sendOne(host, message, batch[0] as T);
  if (failures.length === 0) for (const index of forget ?? []) known?.delete(index);
  return failures;
}

/**
 * Sends a task to a host in which another runs. Its arguments follow in a message of their own, unless they are primitives:
 * if that can't be read, the host knows which task it is about. Returns false if it can't be sent.
 */
export function sendAhead<T extends LaneTask>(host: Host, task: T, item: number): boolean {
  const message = runMessage([task], item);
  return sendMany(host, { ...message, args: packArgs([task], true), isAhead: true }, [task]).length === 0;
}

function sendOne<T extends LaneTask>(host: Host, message: RunMessage, task: T): readonly SendFailure<T>[] {
  try {
    const buffers = findBuffers(task.args);
    host.post(buffers === undefined ? message : { ...message, buffers }, transfersOf(task));
    return [];
  } catch (problem) {
    return [{ task, problem }];
  }
}

/** The host begins only when it has all arguments, so items that can't be sent can still be withdrawn. */
function sendMany<T extends LaneTask>(host: Host, message: RunMessage, batch: readonly T[]): readonly SendFailure<T>[] {
  const failures: SendFailure<T>[] = [];
  const args = postRun(host, message, batch);
  if ('arity' in args) return failures;
  for (const [item, task] of batch.entries()) {
    if (args[item] !== null) continue;
    try {
      const buffers = findBuffers(task.args);
      host.post({ kind: 'args', args: task.args, ...(buffers && { buffers }) }, []);
    } catch (problem) {
      host.control.withdraw(message.first + item);
      host.post({ kind: 'args', args: null }, []); // for a child, whose control block is another
      failures.push({ task, problem });
    }
  }
  return failures;
}

/** Returns the arguments that were sent. */
function postRun<T extends LaneTask>(host: Host, message: RunMessage, batch: readonly T[]): ArgsColumn {
  try {
    host.post(message, []);
    return message.args;
  } catch {
    const args = packPrimitives(batch);
    host.post({ ...message, args }, []);
    return args;
  }
}

/** @param forget Given if the host has to load definitions: the indexes of those that it need not keep. */
function runMessage<T extends LaneTask>(batch: readonly T[], first: number, forget?: readonly number[]): RunMessage {
  const [{ definition, name, carried }] = batch as readonly [T];
  return {
    kind: 'run',
    definition: definition.index,
    ...(forget && { define: wireDefinition(definition), forget }),
    name,
    first,
    items: batch.length,
    ids: packIds(batch),
    args: packArgs(batch),
    ...(carried && { carried }),
    ...(batch.some(({ attempt, options }) => attempt > 0 || options.delivery !== undefined) && {
      attempts: batch.map(({ attempt, options }) => shownAttempt(options, attempt + 1)),
    }),
    ...(batch.some(({ options }) => options.idempotencyKey !== undefined) && {
      keys: batch.map(({ options }) => options.idempotencyKey),
    }),
    ...(batch.some(({ keptWork }) => keptWork !== undefined) && { kept: batch.map(({ keptWork }) => keptWork) }),
  };
}

/** The definitions that a host has to load for a task. */
export function definitionsOf({ definition, carried }: LaneTask): readonly WireDefinition[] {
  return carried === undefined ? [definition] : [definition, carried.definition];
}
