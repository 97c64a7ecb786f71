/** The settings of a host pool: how many hosts it keeps, and how they are started. */
import type { HostOptions } from '../hosts/host.ts';
import type { Preload } from '../loading/loaded-definitions.ts';
import type { RecycleOptions } from './recycling.ts';

export interface HostPoolSettings extends HostOptions {
  /** How many hosts are always kept. */
  readonly minSize: number;
  /** How many hosts' slots are kept free beside those that have a task, as long as there are fewer hosts than `slots`. Default: 0. */
  readonly minFree?: number;
  readonly slots?: number;
  /** Above this, hosts are ended as soon as they are idle, unless a slot is lent. */
  readonly maxSize: number;
  readonly idleTimeoutMs: number;
  readonly recycle?: RecycleOptions;
  readonly preload?: Preload;
}
