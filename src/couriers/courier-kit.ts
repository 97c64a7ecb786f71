/**
 * What a courier of one's own is made of: the checks in front, the words of its errors, and how errors of tasks are carried.
 * The couriers of this package are made of it, too; it can change with any minor version.
 */
export { callSafely } from '../call-safely.ts';
export { Timer } from '../clock.ts';
export { fieldOf, messageOf, textOf } from '../foreign-value.ts';
export { decodeThrown, encodeThrown, type WireThrown } from '../lanes/error-codec.ts';
export { checkOptions, is, type Rule, rules } from '../options.ts';
export { pause } from '../pause.ts';
export { backoffMs } from '../scheduling/backoff.ts';
export { onAbort } from '../task/on-abort.ts';
export { CheckedCourier } from './checked-courier.ts';
export {
  courierClosed,
  courierUnreachable,
  duplicateId,
  leaseLost,
  queueFull,
  resultNotReady,
  resultTimeout,
  serverRefused,
  taskCanceled,
  taskNotFound,
  taskStalled,
} from './courier-error.ts';
export { serverError } from './server-error.ts';
