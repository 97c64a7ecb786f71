/** The tasks that have not begun: those that wait in a pool for a slot, and those that wait for their time. */
import type { Task } from '../task/record/task.ts';
import type { LaneRegistry } from './lane-registry.ts';

interface BacklogOptions {
  readonly current: { readonly maxQueued: number };
}

export class Backlog {
  readonly #lanes: LaneRegistry;
  readonly #options: BacklogOptions;
  /** Tasks whose delay runs, and failed tasks whose `retryIf` has not answered yet. */
  readonly delayed: Set<Task> = new Set();
  #isClosed = false;

  constructor(lanes: LaneRegistry, options: BacklogOptions) {
    this.#lanes = lanes;
    this.#options = options;
  }

  /** How many tasks wait. */
  get waiting(): number {
    return this.#lanes.waiting + this.delayed.size;
  }

  /** How many more tasks may wait. */
  get room(): number {
    const { maxQueued } = this.#options.current;
    return maxQueued === Infinity ? Infinity : maxQueued - this.waiting;
  }

  /** The supervisor stops: nothing that waits begins any more, and no attempt follows another. */
  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** The supervisor stops, and may still let what waits begin; but nobody is to wait for what is paused. */
  isStopping = false;

  close(): void {
    this.#isClosed = true;
  }
}
