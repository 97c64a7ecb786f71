/** The times of a cron pattern, as a clock shows them, independent of the time zone. Parsed and searched by croner. */
import type { Cron } from 'croner';
import { requireLate } from '../platform/package-files.ts';

/** Croner needs 80 KB for each pattern, and 0.1 ms to parse it again: only the patterns used last are kept. */
const mostKept = 50;
const kept = new Map<string, Cron>();

export class CronPattern {
  /**
   * Whether the pattern names its times: has no `*` and no `/` in seconds, minutes and hours.
   * https://manpages.debian.org/cron
   */
  readonly namesTimes: boolean;
  readonly #pattern: string;

  /** @throws TypeError, or RangeError, for a bad pattern. */
  constructor(pattern: string) {
    this.#pattern = pattern;
    // Names such as @daily are replaced by their patterns.
    const meaning = searchFor(pattern).getPattern();
    if (meaning === undefined) throw new TypeError('it is a date');
    const fields = meaning.match(/\S+/g) ?? [];
    this.namesTimes = !/[*?/]/.test(fields.slice(0, fields.length === 5 ? 2 : 3).join());
  }

  /** The first time after `shown`. Both are the epoch milliseconds at which a UTC clock shows them. Infinity if there is none. */
  after(shown: number): number {
    return searchFor(this.#pattern).nextRun(new Date(shown))?.getTime() ?? Infinity;
  }
}

function searchFor(pattern: string): Cron {
  let search = kept.get(pattern);
  kept.delete(pattern);
  if (search === undefined) {
    const { Cron } = requireLate('croner') as typeof import('croner');
    // Without a function it has no timers.
    search = new Cron(pattern, { paused: true, utcOffset: 0 });
    for (const [oldest] of kept) {
      if (kept.size < mostKept) break;
      kept.delete(oldest);
    }
  }
  kept.set(pattern, search);
  return search;
}
