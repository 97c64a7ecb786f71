/** A batch as it is told to a host, with what of it can't be sent. */
import { shownAttempt } from '../../task/call/task-options.ts';
import { type WireDefinition, wireDefinition } from '../../task/definition/definition.ts';
import type { LaneTask } from '../lane.ts';
import { findBuffers } from '../wire/buffers.ts';
import { packArgs, packIds } from '../wire/columns.ts';
import type { RunMessage } from '../wire/protocol.ts';
import type { Host } from './host.ts';
import { type SendFailure, transfersOf } from './send-failure.ts';

/** So many definitions a host keeps: each call may be of a new function, sent by its source. */
const maxDefinitions = 500;

/** The oldest of what a host knows, as far as there is too much of it where the host is to load more for a task. */
function oldestOf(known: ReadonlyMap<number, WireDefinition>, task: LaneTask): readonly number[] {
  const needed = definitionsOf(task).map(({ index }) => index);
  const others = [...known.keys()].filter((index) => !needed.includes(index));
  return others.slice(0, Math.max(0, known.size - maxDefinitions + 1));
}

/**
 * Sends a batch, and gives the tasks that can't be sent; if that is an only one, nothing was sent.
 * `known`: what the host has, where it is to load what its one task needs; the oldest of it may have to make room.
 */
export function sendBatch<T extends LaneTask>(
  host: Host,
  batch: readonly T[],
  known?: Map<number, WireDefinition>,
): readonly SendFailure<T>[] {
  const forget = known && oldestOf(known, batch[0] as T);
  const message = runMessage(batch, forget);
  if (batch.length > 1) return sendMany(host, message, batch);
  const refusals = sendOne(host, message, batch[0] as T);
  if (refusals.length === 0) for (const index of forget ?? []) known?.delete(index);
  return refusals;
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

/** The host waits for all arguments before it begins, so those that can't be sent are withdrawn in time. */
function sendMany<T extends LaneTask>(host: Host, message: RunMessage, batch: readonly T[]): readonly SendFailure<T>[] {
  const refusals: SendFailure<T>[] = [];
  host.post(message, []);
  if ('arity' in message.args) return refusals;
  for (const [item, task] of batch.entries()) {
    if (message.args[item] !== null) continue;
    try {
      const buffers = findBuffers(task.args);
      host.post({ kind: 'args', args: task.args, ...(buffers && { buffers }) }, []);
    } catch (problem) {
      host.control.withdraw(item);
      host.post({ kind: 'args', args: null }, []); // its memory may be another
      refusals.push({ task, problem });
    }
  }
  return refusals;
}

/** `forget`: the host is to load what its one task needs, and to keep no longer what has these indexes. */
function runMessage<T extends LaneTask>(batch: readonly T[], forget?: readonly number[]): RunMessage {
  const [first] = batch as readonly [T];
  return {
    kind: 'run',
    definition: first.definition.index,
    ...(forget && { define: wireDefinition(first.definition), forget }),
    name: first.name,
    items: batch.length,
    ids: packIds(batch),
    args: packArgs(batch),
    ...(first.carried && { carried: first.carried }),
    ...(batch.some(({ attempt, options }) => attempt > 0 || options.delivery !== undefined) && {
      attempts: batch.map(({ attempt, options }) => shownAttempt(options, attempt + 1)),
    }),
    ...(batch.some(({ options }) => options.idempotencyKey !== undefined) && {
      keys: batch.map(({ options }) => options.idempotencyKey),
    }),
  };
}

/** What a host has to load for a task. */
export function definitionsOf({ definition, carried }: LaneTask): readonly WireDefinition[] {
  return carried === undefined ? [definition] : [definition, carried.definition];
}
