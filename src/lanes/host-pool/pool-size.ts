/** How many hosts a lane has and is to have, and which of them are for urgent tasks. Pure data. */
import type { HostOptions } from '../hosts/host.ts';
import type { HostConnection } from '../hosts/host-connection.ts';
import type { LaneTask } from '../lane.ts';
import type { HostPoolSettings } from './host-pool-settings.ts';
import type { PooledHost } from './pooled-host.ts';
import type { Recycling } from './recycling.ts';

export class PoolSize<T extends LaneTask> {
  settings: HostPoolSettings;
  /** How many hosts there are that are not ending. */
  count = 0;
  /** How many tasks have lent their slot. While any has, no host is too many, because one more may be needed at once. */
  lent = 0;
  readonly #hosts: ReadonlySet<PooledHost<HostConnection<T>>>;
  readonly #recycling: Pick<Recycling<T>, 'doubles' | 'isReplaced'>;

  /** @param hosts Those that have not exited. */
  constructor(
    settings: HostPoolSettings,
    hosts: ReadonlySet<PooledHost<HostConnection<T>>>,
    recycling: Pick<Recycling<T>, 'doubles' | 'isReplaced'>,
  ) {
    this.settings = settings;
    this.#hosts = hosts;
    this.#recycling = recycling;
  }

  /** How many tasks may run in each. */
  get slotsPerHost(): number {
    return this.settings.concurrentTasks ?? 1;
  }

  /** In how many of them nothing runs. */
  get idle(): number {
    let idle = 0;
    for (const { state } of this.#hosts) if (state === 'idle') idle += 1;
    return idle;
  }

  /** How many are kept, with those for the most urgent tasks, which must not wait until one has started. */
  get min(): number {
    const { minSize, minFree = 0, slots = Infinity } = this.settings;
    if (minFree === 0) return minSize;
    let busy = 0;
    for (const { isEnding, slots } of this.#hosts) {
      if (!isEnding) for (const { size } of slots) if (size > 0) busy += 1;
    }
    return Math.max(minSize, Math.min(Math.ceil(busy / this.slotsPerHost) + minFree, slots));
  }

  get isBelowMin(): boolean {
    return this.count < this.min;
  }

  /** Whether one more may be started to have the minimum. */
  get mayGrow(): boolean {
    return this.#hosts.size - this.#recycling.doubles < this.settings.maxSize;
  }

  /** Whether a new host is for urgent tasks: its first task is one, or it is kept free for them. */
  isForUrgent(task: T | undefined): boolean {
    if (task !== undefined) return isUrgent(task);
    let urgent = 0;
    for (const each of this.#hosts) if (!each.isEnding && each.isUrgent) urgent += 1;
    return urgent < (this.settings.minFree ?? 0);
  }

  /** The options of a host: one for urgent tasks keeps the system priority of the program. */
  optionsFor({ isUrgent }: PooledHost<HostConnection<T>>): HostOptions {
    const { nice = 0, ...options } = this.settings;
    return isUrgent ? options : { ...options, nice };
  }

  /** Whether a task may wait at a host. With `nice`, those for urgent tasks are kept free of others. */
  mayWaitAt(host: PooledHost<HostConnection<T>>, task: T): boolean {
    return this.settings.nice === undefined || !host.isUrgent || isUrgent(task);
  }

  /** Whether there are fewer than there may be without critical tasks. */
  get hasRoom(): boolean {
    return this.count < (this.settings.slots ?? Infinity);
  }

  get isAboveMin(): boolean {
    return this.count - this.#recycling.doubles > this.min;
  }

  /** Whether idle ones are to end. */
  get isTooLarge(): boolean {
    return this.count - this.#recycling.doubles > this.settings.maxSize && this.lent === 0;
  }

  /** How many slots are ending, or in hosts that leave, and run nothing: they hold no slot any more, but still exist. */
  get leaving(): number {
    if (this.#hosts.size === this.count) return 0;
    let leaving = 0;
    for (const host of this.#hosts) {
      const leaves = host.isEnding || (host.isShared && this.#recycling.isReplaced(host));
      if (leaves) for (const { size } of host.slots) if (size === 0) leaving += 1;
    }
    return leaving;
  }

  /** A host and its successor count as one. See `HostSupply`. */
  hasHostFor(held: number, most: number): boolean {
    const { leaving } = this;
    if (leaving === 0) return true;
    let existing = 0;
    for (const { slots } of this.#hosts) existing += slots.length;
    return held < existing - leaving || held + leaving - this.#recycling.doubles * this.slotsPerHost < most;
  }
}

export function isUrgent({ options: { priority } }: LaneTask): boolean {
  return priority === 'high' || priority === 'critical';
}
