/** One key of a module while somebody uses it: how many of its tasks run, and when the next may start. */
import { Bulkhead, type BulkheadItem } from '../bulkhead.ts';
import type { Gate } from '../gate.ts';
import type { Rate } from './rate.ts';
import { type GateAlarm, RateState } from './timed-gate.ts';

export interface KeyedItem<T> extends BulkheadItem<T> {
  readonly key: string | undefined;
  /** The nearest of its callers that is in the same module, has the same key, and waits for it. */
  readonly keyLender: T | undefined;
}

/** A gate that a rate may close, until it is rung. */
export interface RungGate<T> extends Gate<T> {
  onRung(): void;
}

export class KeyGate<T extends KeyedItem<T>> extends Bulkhead<T> implements RungGate<T> {
  readonly key: string | undefined;
  readonly rate: RateState<RungGate<T>>;
  /** How many of its tasks wait or run. */
  users = 0;
  readonly #onUnused: (gate: KeyGate<T>) => void;

  constructor(
    key: string | undefined,
    cap: number,
    rate: Rate | undefined,
    clock: { readonly now: () => number; readonly alarm: GateAlarm<RungGate<T>> },
    onUnused: (gate: KeyGate<T>) => void,
  ) {
    super(cap);
    this.key = key;
    this.rate = new RateState(rate, clock.now, clock.alarm);
    this.#onUnused = onUnused;
  }

  protected override lenderOf(item: T): T | undefined {
    return item.keyLender;
  }

  override isOpenFor(item: T): boolean {
    return this.mayEnter(item) && this.rate.isOpen(this);
  }

  onRung(): void {
    this.rate.onRung();
    this.checkUsed();
  }

  /** Nothing is kept for a key that nobody uses. */
  checkUsed(): void {
    if (this.users === 0 && this.rate.isPast(this)) this.#onUnused(this);
  }
}
