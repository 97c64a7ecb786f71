/**
 * Runs a task from a courier as a task of a supervisor: forwards messages both ways, cancels the run when the task is canceled
 * or lost, and gives the task back to the queue if the supervisor stops before it has finished.
 */
import { hasCode } from '../../base/errors.ts';
import { Promise } from '../../platform/globals.ts';
import { onAbort, untilAborted } from '../../platform/on-abort.ts';
import { onHandleEnd, type TaskHandle } from '../../task/call/handle.ts';
import type { Delivery, ResolvedTaskOptions, TaskSubmitter } from '../../task/call/task-options.ts';
import type { CourierTask } from '../courier.ts';
import type { CourierTaskContext } from './tasks-in-flight.ts';

export interface SupervisedRun {
  readonly options: ResolvedTaskOptions;
  readonly submitter: TaskSubmitter;
  /** Called when the supervisor has room. */
  readonly submit: () => TaskHandle<unknown>;
  /** Called when the task was given back to the queue. */
  readonly onGivenBack: () => void;
  /** If false, a failure is reported here as one of a task that nobody awaits. Default: true. */
  readonly isAwaited?: boolean;
}

/** The courier's task, as the supervisor runs it. */
export function deliveryOf({ id, attempt, kept }: CourierTask, context: CourierTaskContext): Delivery {
  return { id, attempt, kept, keepWork: (name, work) => context.keepWork(name, work) };
}

/** Resolves with the result, or rejects with the error, of the task; with undefined if the worker lost it or gave it back. */
export async function runSupervised(run: SupervisedRun, context: CourierTaskContext): Promise<unknown> {
  const { options, submitter, isAwaited = true } = run;
  const { signal } = context;
  while (!signal.aborted && !submitter.hasRoom(options)) {
    await untilAborted(submitter.capacity(options.priority), signal);
  }
  if (signal.aborted) return undefined;
  const handle = run.submit();
  const unlisten = onAbort(signal, () => handle.cancel(signal.reason));
  try {
    return await exchangeMessages(handle, context, isAwaited);
  } catch (error) {
    if (!wasNotFinished(handle)) throw error;
    await context.release();
    run.onGivenBack();
    return undefined;
  } finally {
    unlisten();
  }
}

async function exchangeMessages(
  handle: TaskHandle<unknown>,
  context: CourierTaskContext,
  isAwaited: boolean,
): Promise<unknown> {
  const end = isAwaited ? undefined : new Promise<void>((resolve) => onHandleEnd(handle, resolve));
  handle.onProgress((progress) => void context.send({ kind: 'progress', progress }));
  context.onCommand((command) => (command.kind === 'stop' ? handle.stop() : handle.send(command.data)));
  for await (const data of handle.messages()) await context.send({ kind: 'message', data });
  if (end === undefined) return handle;
  await end;
  if (handle.status === 'completed') return handle.result;
  throw handle.exception;
}

/** Whether the supervisor stopped before the task was finished or started. */
function wasNotFinished({ info, exception }: TaskHandle<unknown>): boolean {
  if (info.endReason === 'shutdown') return true;
  return info.attempt === 0 && hasCode(exception, 'SUPERVISOR_STOPPED');
}
