/** The limits that a worker has for its queue. They belong to the queue: those of the worker that was started last hold. */
import { TaskwardenError } from '../../base/errors.ts';
import type { QueueLimits, WorkerTaskCourier } from '../courier.ts';
import { endsFetching, type Outage } from '../outage.ts';

export interface LimitedWorker {
  readonly courier: WorkerTaskCourier;
  readonly queueName: string;
  readonly maxPerKey: number | undefined;
  readonly rate: QueueLimits['rate'];
}

/**
 * Sets them, if the worker has any. While the courier can't be reached, tries again until the signal aborts.
 * @param onReplaced Is told if the queue had others.
 */
export async function setWorkerLimits(
  { courier, queueName, maxPerKey, rate }: LimitedWorker,
  outage: Outage,
  signal: AbortSignal,
  onReplaced: (error: TaskwardenError) => void,
): Promise<void> {
  if (signal.aborted || (maxPerKey === undefined && rate === undefined)) return;
  const limits: QueueLimits = { ...(maxPerKey !== undefined && { maxPerKey }), ...(rate && { rate }) };
  const set = () => courier.setLimits(queueName, limits);
  let before: QueueLimits | undefined;
  try {
    before = await outage.retry(set, signal, (error) => endsFetching(error, false));
  } catch (error) {
    if (!signal.aborted) throw error;
  }
  if (before === undefined || textOf(before) === textOf(limits)) return;
  const message = `the limits of queue "${queueName}" were ${textOf(before)}, and are ${textOf(limits)} now: its workers must have the same`;
  onReplaced(new TaskwardenError('LIMITS_REPLACED', message));
}

function textOf({ maxPerKey = Infinity, rate }: QueueLimits): string {
  const most = maxPerKey === Infinity ? '' : `maxPerKey ${maxPerKey}`;
  if (rate === undefined) return most || 'none';
  const { max, perMs, perKey = false, burst = 1 } = rate;
  const text = `rate ${max} in ${perMs} ms${perKey ? ' per key' : ''}, burst ${burst}`;
  return most === '' ? text : `${most}, ${text}`;
}
