/**
 * What the clocks of a time zone show, and when they are changed. Times are epoch milliseconds; what a clock shows is told
 * as the time at which a clock of UTC shows the same. That no two changes are closer than two days is taken for granted.
 */
import { firstSecond } from './first-second.ts';

/** Longer than the furthest that clocks were ever set forward or back, which is a day. */
export const twoDaysMs: number = 48 * 60 * 60 * 1_000;

const formats = new Map<string, Intl.DateTimeFormat>();

export class TimeZone {
  readonly #format: Intl.DateTimeFormat | undefined;

  /**
   * By its name of the IANA; undefined: the local one.
   * @throws RangeError for a name that is not known.
   */
  constructor(name: string | undefined) {
    this.#format = name === undefined ? undefined : formatOf(name);
  }

  /** How far its clocks are ahead of UTC. */
  aheadAt(at: number): number {
    if (this.#format === undefined) return new Date(at).getTimezoneOffset() * -60_000;
    const [month = 0, day, year = 0, hours, minutes, seconds] = (this.#format.format(at).match(/\d+/g) ?? []).map(
      Number,
    );
    return Date.UTC(year, month - 1, day, hours, minutes, seconds) - Math.floor(at / 1_000) * 1_000;
  }

  /** When they are next set forward or back, after `from`, and within two days. */
  changeAfter(from: number): number | undefined {
    const ahead = this.aheadAt(from);
    return firstSecond(from, from + twoDaysMs, (at) => this.aheadAt(at) !== ahead);
  }

  /** The latest that they have shown until now; they show less after they were set back. */
  latestShown(at: number): number {
    const shown = at + this.aheadAt(at);
    const before = at - twoDaysMs;
    const change = this.changeAfter(before);
    return change === undefined ? shown : Math.max(shown, change - 1 + this.aheadAt(before));
  }
}

/** Each takes long to make, and much memory. */
function formatOf(name: string): Intl.DateTimeFormat {
  let format = formats.get(name);
  if (format === undefined) {
    format = new Intl.DateTimeFormat('en-US', {
      timeZone: name,
      hourCycle: 'h23',
      year: 'numeric',
      month: 'numeric',
      day: 'numeric',
      hour: 'numeric',
      minute: 'numeric',
      second: 'numeric',
    });
    formats.set(name, format);
  }
  return format;
}
