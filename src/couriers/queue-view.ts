/** What is seen of a queue: its tasks by their state, and the events of what happens to them. */
import { is, oneOf, type Rule, rules } from '../base/options.ts';
import { onAbort } from '../platform/on-abort.ts';
import type { Priority } from '../queue/priority.ts';
import type { Progress } from '../task/record/progress.ts';

/** Where a task of a queue is. */
export type CourierTaskState = 'waiting' | 'delayed' | 'leased' | 'completed' | 'failed' | 'canceled';

export interface ListOptions {
  /** Which tasks. `'completed'` and `'canceled'`: as long as their outcome is kept. `'failed'`: the dead letters. */
  readonly state: CourierTaskState;
  /** How many to leave out. Default: 0. */
  readonly offset?: number;
  /** How many to give, at most 1,000. Default: 100. */
  readonly max?: number;
}

/** A task of a queue, without its data. */
export interface ListedTask {
  readonly id: string;
  /** The function that its data calls; of a job of BullMQ its name. Undefined if it calls none. */
  readonly name: string | undefined;
  /** The option `key` it was added with. */
  readonly key: string | undefined;
  readonly state: CourierTaskState;
  readonly priority: Priority;
  /** How often it was delivered, the present time included; not those that were given back. */
  readonly attempts: number;
  /** When it was added, or redriven; in epoch milliseconds, as all times. */
  readonly timeQueued: number;
  /** When it was last delivered; undefined if it was not. */
  readonly timeStarted: number | undefined;
  /** When it ended; undefined before. */
  readonly timeEnded: number | undefined;
  /** Only of a failed task. */
  readonly error?: unknown;
}

interface TaskEventFacts {
  readonly queue: string;
  readonly id: string;
  /** As in `ListedTask`. */
  readonly name: string | undefined;
  readonly key: string | undefined;
  /** In epoch milliseconds; on PostgreSQL when the event was read. */
  readonly time: number;
}

/** What has happened to a task of a queue. */
export type QueueEvent =
  /** `'added'` also when it was redriven; `'started'` when it was delivered to a worker. */
  | (TaskEventFacts & { readonly kind: 'added' | 'started' | 'completed' | 'canceled' })
  /** It failed for good, or will be tried again. `message` is that of its error. */
  | (TaskEventFacts & { readonly kind: 'failed' | 'retried'; readonly message: string })
  | (TaskEventFacts & { readonly kind: 'progress'; readonly progress: Progress })
  /** The queue was paused, and was not before; or the other way round. */
  | { readonly kind: 'paused' | 'resumed'; readonly queue: string; readonly time: number }
  /** Events up to now may have been missed: the server was away, or the listener was too slow. `listTasks()` says how things are. */
  | { readonly kind: 'missed'; readonly queue: string; readonly time: number };

/** Ends the subscription when it is called, or at the end of its `await using`. */
export interface QueueSubscription extends AsyncDisposable {
  (): void;
}

const states = ['waiting', 'delayed', 'leased', 'completed', 'failed', 'canceled'] as const;
export const listRules: Readonly<Record<keyof ListOptions, Rule>> = {
  state: oneOf(states),
  offset: rules.count,
  max: is(
    'a whole number from 1 to 1,000',
    (max) => Number.isInteger(max) && (max as number) >= 1 && (max as number) <= 1_000,
  ),
};

/** What `subscribe()` gives. It ends by the signal, too. */
export function subscription(stop: () => void, signal: AbortSignal | undefined): QueueSubscription {
  const unlisten = signal && onAbort(signal, stop);
  const end = () => {
    unlisten?.();
    stop();
  };
  if (signal?.aborted) end(); // meanwhile
  return Object.assign(end, { [Symbol.asyncDispose]: async () => end() });
}
