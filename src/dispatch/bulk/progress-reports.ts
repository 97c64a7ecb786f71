/** Limits how often progress is reported: at once after a pause, and else when it is over. */
import { Timer } from '../../platform/clock.ts';
import { elapsed } from '../../platform/globals.ts';

/** The shortest interval between two reports, in milliseconds. */
const reportEveryMs = 20;

export class ProgressReports {
  readonly #report: () => void;
  #reportedAt = -Infinity;
  #timer: Timer | undefined;

  constructor(report: () => void) {
    this.#report = report;
  }

  /** There is something to report. */
  note(): void {
    const leftMs = this.#reportedAt + reportEveryMs - elapsed();
    if (leftMs <= 0) this.flush();
    else this.#timer ??= new Timer(leftMs, () => this.flush());
  }

  /** Reports at once. */
  flush(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#reportedAt = elapsed();
    this.#report();
  }
}
