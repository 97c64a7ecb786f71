/** `backgroundWorker()`: makes a worker from a function, of the kind that the options ask for. */
import { show } from '../base/options.ts';
import { callSite } from '../platform/stack-traces.ts';
import type { TaskFunction } from '../task/definition/definition.ts';
import { BackgroundWorker } from './background-worker.ts';
import { BackgroundEventWorker } from './event-worker.ts';
import { BackgroundIntervalWorker } from './interval-worker.ts';
import { BackgroundQueueWorker } from './queue-worker.ts';
import type {
  EventWorkerOptions,
  IntervalOptions,
  IntervalWorkerOptions,
  QueueOptions,
  QueueWorkerOptions,
  WorkerOptions,
} from './worker-options.ts';
import { calledAt } from './worker-target.ts';

type Rest<P extends unknown[]> = P extends [unknown?, ...infer R] ? R : never;

/** The type of a single item, for a function that gets batches. */
type ItemOf<B> = B extends readonly (infer I)[] ? I : never;

type Batches = QueueWorkerOptions & { readonly queue: QueueOptions & { readonly batchSize: number } };
type Queue = QueueWorkerOptions & { readonly queue: true | QueueOptions };
type Event = EventWorkerOptions & { readonly event: true };
type Interval = IntervalWorkerOptions &
  (
    | Required<Pick<IntervalOptions, 'intervalMs'>>
    | Required<Pick<IntervalOptions, 'delayMs'>>
    | Required<Pick<IntervalOptions, 'cron'>>
  );

/** The type of worker for a function and options. */
export type WrappedWorker<F extends TaskFunction, O> = O extends Batches
  ? BackgroundQueueWorker<ItemOf<Parameters<F>[0]>, Rest<Parameters<F>>>
  : O extends Queue
    ? BackgroundQueueWorker<Parameters<F>[0], Rest<Parameters<F>>>
    : O extends Event
      ? BackgroundEventWorker<Parameters<F>>
      : O extends Interval
        ? BackgroundIntervalWorker<Parameters<F>>
        : BackgroundWorker<Parameters<F>>;

type AnyOptions = Batches | Queue | Event | Interval | WorkerOptions;

/**
 * Makes a background worker from a function of a module, at the top level of that module; see `backgroundTask()`.
 * With `queue` it runs for each item, with `event` when it is triggered, with `intervalMs`, `delayMs` or `cron` by the clock,
 * and otherwise again and again.
 */
export function backgroundWorker<F extends TaskFunction, O extends AnyOptions = WorkerOptions>(
  moduleUrl: string | URL,
  fn: F & TaskFunction,
  options?: O,
): WrappedWorker<F, O>;
/** The same for a function without a module: its source is sent, unless it runs on the event loop. */
export function backgroundWorker<F extends TaskFunction, O extends AnyOptions = WorkerOptions>(
  fn: F & TaskFunction,
  options?: O,
): WrappedWorker<F, O>;
export function backgroundWorker(...given: unknown[]): BackgroundWorker {
  const place = given.findIndex((each) => typeof each === 'function');
  if (place < 0) throw new TypeError(`backgroundWorker() takes a function; got ${show(given[0])}`);
  const options = (given[place + 1] ?? {}) as object;
  const Kind = kindOf(options) as new (...args: unknown[]) => BackgroundWorker;
  return new Kind(
    ...given.slice(0, place + 1),
    { ...options, [calledAt]: callSite(backgroundWorker) },
    ...given.slice(place + 2),
  );
}

const kinds = [
  { Kind: BackgroundQueueWorker, keys: ['queue'] },
  { Kind: BackgroundEventWorker, keys: ['event'] },
  { Kind: BackgroundIntervalWorker, keys: ['intervalMs', 'delayMs', 'cron', 'delayBeforeMs', 'timezone'] },
] as const;

function kindOf(options: object): unknown {
  const given = Object.entries(options).flatMap(([key, value]) => (value === undefined ? [] : [key]));
  const asked = kinds.filter(({ keys }) => keys.some((key) => given.includes(key)));
  if (asked.length > 1) {
    const keys = asked.map(({ keys }) => `"${keys.find((key) => given.includes(key))}"`);
    throw new TypeError(
      `a worker is of one kind: options ${keys.join(' and ')} of backgroundWorker() exclude each other`,
    );
  }
  return asked[0]?.Kind ?? BackgroundWorker;
}
