/** Rings gates that a rate has closed, when it lets the next task start: one timer for all of a supervisor. */
import { now, Timer } from '../platform/clock.ts';
import type { RungGate } from '../queue/keys/key-gate.ts';
import type { GateAlarm } from '../queue/keys/timed-gate.ts';
import { Heap } from '../queue/order/heap.ts';
import type { Task } from '../task/record/task.ts';

type TaskGate = RungGate<Task>;

export class GateAlarms implements GateAlarm<TaskGate> {
  /** When each is to be rung, on the clock of `now()`. */
  readonly #times = new Map<TaskGate, number>();
  readonly #gates = new Heap<TaskGate>((a, b) => this.#timeOf(a) < this.#timeOf(b));
  readonly #onRung: (gates: readonly TaskGate[]) => void;
  #timer: Timer | undefined;
  #timerAt = Infinity;
  #isClosed = false;

  /** @param onRung Is called with gates that may be open now. */
  constructor(onRung: (gates: readonly TaskGate[]) => void) {
    this.#onRung = onRung;
  }

  #timeOf(gate: TaskGate): number {
    return this.#times.get(gate) ?? Infinity;
  }

  set(gate: TaskGate, at: number): void {
    if (this.#isClosed) return;
    this.#gates.delete(gate);
    this.#times.set(gate, at);
    this.#gates.add(gate);
    if (at < this.#timerAt) this.#arm();
  }

  #arm(): void {
    this.#timer?.cancel();
    const first = this.#gates.first;
    this.#timerAt = first === undefined ? Infinity : this.#timeOf(first);
    if (first === undefined) return;
    this.#timer = new Timer(Math.ceil(Math.max(this.#timerAt - now(), 0)), () => this.#ring());
  }

  #ring(): void {
    const due: TaskGate[] = [];
    for (let gate = this.#gates.first; gate !== undefined; gate = this.#gates.first) {
      if (this.#timeOf(gate) > now()) break;
      this.#gates.delete(gate);
      this.#times.delete(gate);
      due.push(gate);
    }
    this.#timerAt = Infinity;
    for (const gate of due) gate.onRung();
    this.#onRung(due);
    this.#arm();
  }

  /** Nothing is rung any more. */
  close(): void {
    this.#isClosed = true;
    this.#timer?.cancel();
  }
}
