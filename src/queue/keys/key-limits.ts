/**
 * The limits of a module beside its cap: how many tasks of a key run at a time, whether keys take turns, and how many tasks
 * start in a time. Each is O(1) for a task, whatever the number of keys. Tasks that waited or ran before the module had
 * limits count in none of them.
 */
import { now } from '../../platform/clock.ts';
import type { Gate, StartLimits } from '../gate.ts';
import { type KeyedItem, KeyGate, type RungGate } from './key-gate.ts';
import { Rate, type RateOptions } from './rate.ts';
import { type GateAlarm, RateState } from './timed-gate.ts';

export interface KeyLimitOptions {
  /** How many tasks of one key may run at a time. */
  readonly maxPerKey: number;
  /** Whether keys take turns. */
  readonly fair: boolean;
  readonly rate: RateOptions | undefined;
}

interface LimitedItem<T> extends KeyedItem<T> {
  readonly depth: number;
}

/** The rate of the whole module. */
class ModuleGate<T> implements RungGate<T> {
  readonly rate: RateState<RungGate<T>>;

  constructor(now: () => number, alarm: GateAlarm<RungGate<T>>) {
    this.rate = new RateState<RungGate<T>>(undefined, now, alarm);
  }

  isOpenFor(): boolean {
    return this.rate.isOpen(this);
  }

  onRung(): void {
    this.rate.onRung();
  }
}

export class KeyLimits<T extends LimitedItem<T>> implements StartLimits<T> {
  #options: KeyLimitOptions;
  #ratePerKey: Rate | undefined;
  readonly #clock: { readonly now: () => number; readonly alarm: GateAlarm<RungGate<T>> };
  readonly #moduleGate: ModuleGate<T>;
  readonly #byKey = new Map<string | undefined, KeyGate<T>>();
  /** The gate of each task that waits or runs. */
  readonly #gates = new Map<T, KeyGate<T>>();
  readonly #running = new Set<T>();
  #lenders: T[] = [];

  constructor(options: KeyLimitOptions, alarm: GateAlarm<RungGate<T>>, clock: () => number = now) {
    this.#options = options;
    this.#clock = { now: clock, alarm };
    this.#moduleGate = new ModuleGate(clock, alarm);
    this.configure(options);
  }

  get options(): KeyLimitOptions {
    return this.#options;
  }

  /** Holds from now on. Afterwards, tasks at each of `gates` may start. */
  configure(options: KeyLimitOptions): void {
    const { rate, maxPerKey } = options;
    const made = rate && new Rate(rate);
    this.#options = options;
    this.#ratePerKey = rate?.perKey ? made : undefined;
    this.#moduleGate.rate.change(rate?.perKey ? undefined : made);
    for (const gate of this.#byKey.values()) {
      if (gate.key === undefined) continue;
      gate.cap = maxPerKey;
      gate.rate.change(this.#ratePerKey);
    }
  }

  /** All gates at which tasks may be held back. */
  get gates(): readonly Gate<T>[] {
    return [this.#moduleGate, ...this.#byKey.values()];
  }

  /** How many keys are known. */
  get size(): number {
    return this.#byKey.size;
  }

  blocking(item: T): Gate<T> | undefined {
    const gate = this.#gates.get(item);
    if (gate !== undefined && !gate.isOpenFor(item)) return gate;
    return this.#moduleGate.isOpenFor() ? undefined : this.#moduleGate;
  }

  gatesOf(item: T): readonly Gate<T>[] {
    const gate = this.#gates.get(item);
    return gate === undefined ? [this.#moduleGate] : [gate, this.#moduleGate];
  }

  turnOf(item: T): Gate<T> | undefined {
    return this.#options.fair && item.depth === 0 ? this.#gates.get(item) : undefined;
  }

  onQueued(item: T): void {
    const gate = this.#gateOf(item.key);
    this.#gates.set(item, gate);
    gate.users += 1;
  }

  #gateOf(key: string | undefined): KeyGate<T> {
    let gate = this.#byKey.get(key);
    if (gate === undefined) {
      const cap = key === undefined ? Infinity : this.#options.maxPerKey;
      const rate = key === undefined ? undefined : this.#ratePerKey;
      gate = new KeyGate<T>(key, cap, rate, this.#clock, (unused) => this.#byKey.delete(unused.key));
      this.#byKey.set(key, gate);
    }
    return gate;
  }

  onDequeued(item: T): void {
    if (!this.#running.has(item)) this.#forget(item);
  }

  enter(item: T): void {
    this.#moduleGate.rate.start();
    const gate = this.#gates.get(item);
    if (gate === undefined) return;
    this.#running.add(item);
    gate.enter(item);
    gate.rate.start();
  }

  leave(item: T): Gate<T> | undefined {
    const gate = this.#gates.get(item);
    if (gate === undefined || !this.#running.delete(item)) return undefined;
    const lender = gate.leave(item);
    if (lender !== undefined) this.#lenders.push(lender);
    this.#forget(item);
    return gate;
  }

  /** It neither waits nor runs any more. */
  #forget(item: T): void {
    const gate = this.#gates.get(item);
    if (gate === undefined) return;
    this.#gates.delete(item);
    gate.users -= 1;
    gate.checkUsed();
  }

  takeLenders(): readonly T[] {
    if (this.#lenders.length === 0) return this.#lenders;
    const lenders = this.#lenders;
    this.#lenders = [];
    return lenders;
  }
}
