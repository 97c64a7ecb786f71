/** How many hosts a lane is to have, and which of them are for urgent tasks. Pure data. */
import type { HostOptions } from '../hosts/host.ts';
import type { HostConnection } from '../hosts/host-connection.ts';
import type { LaneTask } from '../lane.ts';
import type { HostPoolSettings } from './host-pool-settings.ts';

export class PoolSize<T extends LaneTask> {
  settings: HostPoolSettings;
  /** How many hosts there are that are not ending. */
  count = 0;
  /** How many of them have lent their slot. While any has, no host is too many, because one more may be needed at once. */
  lent = 0;
  readonly #connections: Iterable<HostConnection<T>>;
  readonly #doubles: () => number;

  /** @param doubles How many hosts exist beside their successor. */
  constructor(settings: HostPoolSettings, connections: Iterable<HostConnection<T>>, doubles: () => number) {
    this.settings = settings;
    this.#connections = connections;
    this.#doubles = doubles;
  }

  /** How many are kept, with those for the most urgent tasks, which must not wait until one has started. */
  get min(): number {
    const { minSize, minFree = 0, slots = Infinity } = this.settings;
    if (minFree === 0) return minSize;
    let busy = 0;
    for (const { state, size } of this.#connections) if (state !== 'ending' && size > 0) busy += 1;
    return Math.max(minSize, Math.min(busy + minFree, slots));
  }

  /** Whether a new host is for urgent tasks: its first task is one, or it is kept free for them. */
  isForUrgent(task: T | undefined): boolean {
    if (task !== undefined) return isUrgent(task);
    let urgent = 0;
    for (const each of this.#connections) if (each.state !== 'ending' && each.isUrgent) urgent += 1;
    return urgent < (this.settings.minFree ?? 0);
  }

  /** The options of a host: one for urgent tasks keeps the system priority of the program. */
  optionsFor({ isUrgent }: HostConnection<T>): HostOptions {
    const { nice = 0, ...options } = this.settings;
    return isUrgent ? options : { ...options, nice };
  }

  /** Whether there are fewer than there may be without critical tasks. */
  get hasRoom(): boolean {
    return this.count < (this.settings.slots ?? Infinity);
  }

  get isAboveMin(): boolean {
    return this.count - this.#doubles() > this.min;
  }

  /** Whether idle ones are to end. */
  get isTooLarge(): boolean {
    return this.count - this.#doubles() > this.settings.maxSize && this.lent === 0;
  }
}

export function isUrgent({ options: { priority } }: LaneTask): boolean {
  return priority === 'high' || priority === 'critical';
}
