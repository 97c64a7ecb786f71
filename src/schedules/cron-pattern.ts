/** What a cron pattern says, whatever the time zone: which times a clock has to show. Parsed and searched by croner. */
import type { Cron } from 'croner';
import { requireLate } from '../platform/package-files.ts';

/** Croner keeps 80 KB for each pattern, and takes 0.1 ms to make it anew: only those are kept that were asked of late. */
const mostKept = 50;
const kept = new Map<string, Cron>();

export class CronPattern {
  /**
   * Whether it names its times: has no `*`, and no `/`, in seconds, minutes and hours.
   * https://manpages.debian.org/cron
   */
  readonly namesTimes: boolean;
  readonly #pattern: string;

  /** @throws TypeError, or RangeError, for a bad pattern. */
  constructor(pattern: string) {
    this.#pattern = pattern;
    // With the meaning of names such as @daily.
    const meaning = searchFor(pattern).getPattern();
    if (meaning === undefined) throw new TypeError('it is a date');
    const fields = meaning.match(/\S+/g) ?? [];
    this.namesTimes = !/[*?/]/.test(fields.slice(0, fields.length === 5 ? 2 : 3).join());
  }

  /** The first time above what is shown, both told as the time at which a clock of UTC shows them; Infinity: none. */
  after(shown: number): number {
    return searchFor(this.#pattern).nextRun(new Date(shown))?.getTime() ?? Infinity;
  }
}

function searchFor(pattern: string): Cron {
  let search = kept.get(pattern);
  kept.delete(pattern);
  if (search === undefined) {
    const { Cron } = requireLate('croner') as typeof import('croner');
    // Given no function, it has no timers.
    search = new Cron(pattern, { paused: true, utcOffset: 0 });
    for (const [oldest] of kept) {
      if (kept.size < mostKept) break;
      kept.delete(oldest);
    }
  }
  kept.set(pattern, search);
  return search;
}
