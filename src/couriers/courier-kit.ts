/**
 * The parts for writing a courier: argument checks, error texts, and how errors of tasks are encoded. The couriers of this
 * package use them, too. They can change with any minor version.
 */
export { backoffMs, backoffRule } from '../base/backoff.ts';
export { callSafely } from '../base/call-safely.ts';
export { hasCode } from '../base/errors.ts';
export { fieldOf, messageOf, textOf } from '../base/foreign-value.ts';
export { checkOptions, is, type Rule, rules } from '../base/options.ts';
export { decodeThrown, encodeThrown, type WireThrown } from '../lanes/wire/error-codec.ts';
export { Timer } from '../platform/clock.ts';
export { onAbort, untilAborted } from '../platform/on-abort.ts';
export { pause } from '../platform/pause.ts';
export { submitterOf } from '../task/call/background-task.ts';
export { type ResolvedTaskOptions, resolveTaskOptions } from '../task/call/task-options.ts';
export { foreverPendingPromise, isLoadingModule } from '../task/definition/load-phase.ts';
export type { RunningTask } from '../task/inside/context.ts';
export { calledName } from './calls/courier-call.ts';
export { currentRelay, type RelayTarget, relayTask, showStatus } from './calls/relay-task.ts';
export { CheckedCourier } from './checked-courier.ts';
export {
  courierClosed,
  courierUnreachable,
  deadlinePassed,
  duplicateId,
  leaseLost,
  queueFull,
  resultNotReady,
  resultTimeout,
  serverRefused,
  taskCanceled,
  taskExists,
  taskNotFound,
  taskReplaced,
  taskStalled,
} from './courier-error.ts';
export { serverError } from './server-error.ts';
export { taskOf } from './workers/classic-worker.ts';
export { failureOptions } from './workers/definition-rules.ts';
export { demandOf } from './workers/prefetch.ts';
