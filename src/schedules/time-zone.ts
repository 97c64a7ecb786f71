/**
 * What the clocks of a time zone show, and when they change. Times are epoch milliseconds; what a clock shows is given as the
 * time at which a UTC clock shows the same. Assumes that no two changes are closer than two days.
 */
import { firstSecond } from './first-second.ts';

/** Longer than any change of clocks ever was, which is a day. */
export const twoDaysMs: number = 48 * 60 * 60 * 1_000;

const formats = new Map<string, Intl.DateTimeFormat>();

export class TimeZone {
  readonly #format: Intl.DateTimeFormat | undefined;

  /**
   * @param name An IANA name; undefined for the local time zone.
   * @throws RangeError for an unknown name.
   */
  constructor(name: string | undefined) {
    this.#format = name === undefined ? undefined : formatOf(name);
  }

  /** How far its clocks are ahead of UTC, in milliseconds. */
  aheadAt(at: number): number {
    if (this.#format === undefined) return new Date(at).getTimezoneOffset() * -60_000;
    const [month = 0, day, year = 0, hours, minutes, seconds] = (this.#format.format(at).match(/\d+/g) ?? []).map(
      Number,
    );
    return Date.UTC(year, month - 1, day, hours, minutes, seconds) - Math.floor(at / 1_000) * 1_000;
  }

  /** When the clocks change next, after `from` and within two days; undefined if they do not. */
  changeAfter(from: number): number | undefined {
    const ahead = this.aheadAt(from);
    return firstSecond(from, from + twoDaysMs, (at) => this.aheadAt(at) !== ahead);
  }

  /** The latest time that the clocks have shown so far. They show less after they were set back. */
  latestShown(at: number): number {
    const shown = at + this.aheadAt(at);
    const before = at - twoDaysMs;
    const change = this.changeAfter(before);
    return change === undefined ? shown : Math.max(shown, change - 1 + this.aheadAt(before));
  }
}

/** Formats are kept, because they are slow to make and take much memory. */
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
