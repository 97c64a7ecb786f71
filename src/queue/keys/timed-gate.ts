/** A gate that a rate closes for a while. It asks for an alarm when somebody finds it closed, and stays so until that rings. */
import type { Rate } from './rate.ts';

/** Rings a gate at a time of the clock. */
export interface GateAlarm<G> {
  set(gate: G, at: number): void;
}

export class RateState<G> {
  #rate: Rate | undefined;
  readonly #now: () => number;
  readonly #alarm: GateAlarm<G>;
  #arrival = -Infinity;
  #hasAlarm = false;
  /** Somebody has found it closed: it stays so until the alarm. So nobody who comes later overtakes one who waits for that. */
  #isClosed = false;

  constructor(rate: Rate | undefined, now: () => number, alarm: GateAlarm<G>) {
    this.#rate = rate;
    this.#now = now;
    this.#alarm = alarm;
  }

  /** Whether one may start now. If not, the gate is rung when one may. */
  isOpen(gate: G): boolean {
    if (this.#rate === undefined) return true;
    if (this.#isClosed) return false;
    const at = this.#rate.opensAt(this.#arrival);
    if (at <= this.#now()) return true;
    this.#isClosed = true;
    this.#setAlarm(gate, at);
    return false;
  }

  /** The new rate holds from now on, also for what has started before. */
  change(rate: Rate | undefined): void {
    this.#rate = rate;
    this.#isClosed = false;
  }

  #setAlarm(gate: G, at: number): void {
    this.#hasAlarm = true;
    this.#alarm.set(gate, at);
  }

  onRung(): void {
    this.#hasAlarm = false;
    this.#isClosed = false;
  }

  start(): void {
    if (this.#rate !== undefined) this.#arrival = this.#rate.afterStart(this.#arrival, this.#now());
  }

  /** Whether it can be forgotten: it says nothing of any later start. If not, the gate is rung when it can. */
  isPast(gate: G): boolean {
    if (this.#rate === undefined || this.#arrival <= this.#now()) return true;
    if (!this.#hasAlarm) this.#setAlarm(gate, this.#arrival);
    return false;
  }
}
