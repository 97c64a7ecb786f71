/** One run of a background worker: what is asked for, and what became of it. */
import { type ErrorCode, hasCode } from '../base/errors.ts';
import type { Priority } from '../queue/priority.ts';
import type { TaskHandle } from '../task/call/handle.ts';
import type { Delivery, TaskSpec } from '../task/call/task-options.ts';

/** What a run gave, or what it failed with; `wasEnded`: because the worker, or its supervisor, stops. */
export type RunOutcome = { readonly value: unknown } | { readonly error: unknown; readonly wasEnded: boolean };

/** What a run is to be. */
export interface RunRequest {
  /** What comes before the arguments of the worker. */
  readonly args?: readonly unknown[];
  /** Default: the worker's. */
  readonly priority?: Priority | undefined;
  /** Of the task, unless a live one has it. */
  readonly taskId?: string | undefined;
  /** The courier's task that it performs. */
  readonly delivery?: Delivery | undefined;
  /** Aborts when nobody wants the run any more. */
  readonly unwanted?: AbortSignal;
  /** Gets the handle, when the run is submitted. */
  readonly onSubmitted?: (run: TaskHandle<unknown>) => void;
}

/** What is submitted for it. */
export function runSpec({ definition, options }: TaskSpec, request: RunRequest): TaskSpec {
  const { taskId, delivery, priority = options.priority } = request;
  const own = {
    ...(taskId !== undefined && { taskId }),
    ...(delivery !== undefined && { delivery, idempotencyKey: delivery.id }),
  };
  return { definition, options: { ...options, priority, ...own } };
}

/** It was never taken in. The function itself may fail with that code, by what it calls. */
export function wasRefusedWith(code: ErrorCode, { id, info }: TaskHandle<unknown>, error: unknown): boolean {
  return info.attempt === 0 && hasCode(error, code) && error.taskId === id;
}
