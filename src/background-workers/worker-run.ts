/** One run of a background worker: the request and the outcome. */
import { type ErrorCode, hasCode } from '../base/errors.ts';
import type { Priority } from '../queue/priority.ts';
import type { TaskHandle } from '../task/call/handle.ts';
import type { Delivery, TaskSpec } from '../task/call/task-options.ts';
import type { EndReason } from '../task/record/task-info.ts';

/** The result or the error of a run. `wasEnded`: it was ended because the worker or its supervisor stops. */
export type RunOutcome = { readonly value: unknown } | FailedOutcome;

interface FailedOutcome {
  readonly error: unknown;
  readonly wasEnded: boolean;
  readonly endReason?: EndReason | undefined;
}

export interface RunRequest {
  /** Arguments before those of the worker. */
  readonly args?: readonly unknown[];
  /** Default: the priority of the worker. */
  readonly priority?: Priority | undefined;
  /** The id of the task, unless a live task has it. */
  readonly taskId?: string | undefined;
  /** The courier task that it performs. */
  readonly delivery?: Delivery | undefined;
  /** How often the run is tried again here. Default: as often as the worker says. */
  readonly retries?: number;
  /** Cancels the run when it aborts. */
  readonly unwanted?: AbortSignal;
  /** Gets the handle when the run was submitted. */
  readonly onSubmitted?: (run: TaskHandle<unknown>) => void;
}

/** The task to submit for a run. */
export function runSpec({ definition, options }: TaskSpec, request: RunRequest): TaskSpec {
  const { taskId, delivery, retries, priority = options.priority } = request;
  const own = {
    ...(taskId !== undefined && { taskId }),
    ...(retries !== undefined && { retries }),
    ...(delivery !== undefined && { delivery, idempotencyKey: delivery.id }),
  };
  return { definition, options: { ...options, priority, ...own } };
}

/** Whether the supervisor refused the task with this code. The function itself may fail with the same code of another task. */
export function wasRefusedWith(code: ErrorCode, { id, info }: TaskHandle<unknown>, error: unknown): boolean {
  return info.attempt === 0 && hasCode(error, code) && error.taskId === id;
}
