/** What a memory queue is made with: the limits of its courier, and what its store does for it. */
import type { KeepAlive } from '../../platform/keep-alive.ts';
import type { CourierQueueInfo, CourierTask } from '../courier.ts';
import type { MemoryTask } from './memory-task.ts';

export interface MemoryQueueSettings {
  readonly leaseMs: number;
  readonly resultTtlMs: number;
  readonly maxQueued: number;
  readonly maxStalls: number;
  readonly maxDeadLetters: number;
}

export interface MemoryQueueParts extends MemoryQueueSettings {
  /** A new id for a delivery. */
  readonly nextLease: () => string;
  /** Makes of a task what its worker gets. */
  readonly deliver: (task: MemoryTask) => CourierTask;
  /** Is called when the queue has no tasks, no waits and no subscribers. */
  readonly onEmpty: () => void;
  readonly keepAlive: KeepAlive;
}

/** Of a queue that nothing was added to. */
export const emptyQueue: CourierQueueInfo = {
  waiting: { critical: 0, high: 0, normal: 0, low: 0 },
  delayed: 0,
  leased: 0,
  deadLetters: 0,
  isPaused: false,
  limits: undefined,
};
