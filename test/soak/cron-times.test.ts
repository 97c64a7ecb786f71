/**
 * Cron times of all time zones around each change of their clocks from 2025 to 2036, against a second computation: the
 * rules of cron, word for word, minute by minute. It takes the offsets of a zone from their names (`GMT-02:30`).
 */
import { expect, it } from 'vitest';
import { cron, type Timetable } from '../../src/schedules/timetable.ts';

const minute = 60_000;
const day = 24 * 60 * minute;
const [from, until] = [Date.UTC(2025, 0), Date.UTC(2037, 0)];

const zones = [...new Set(['UTC', ...Intl.supportedValuesOf('timeZone')])];

interface Change {
  readonly at: number;
  readonly before: number;
  readonly after: number;
}

/** How far the clocks of a zone are ahead of UTC. */
function offsetsOf(zone: string): (at: number) => number {
  const format = new Intl.DateTimeFormat('en', { timeZone: zone, timeZoneName: 'longOffset' });
  return (at) => {
    const [, sign, hours, minutes] = /GMT(?:([+-])(\d\d):(\d\d))?$/.exec(format.format(at)) ?? [];
    return (sign === '-' ? -1 : 1) * (Number(hours ?? 0) * 60 + Number(minutes ?? 0)) * minute;
  };
}

function changesOf(zone: string): Change[] {
  const offsetAt = offsetsOf(zone);
  const changes: Change[] = [];
  const step = day / 2;
  let before = offsetAt(from);
  for (let at = from; at < until; at += step) {
    const after = offsetAt(at + step);
    if (after === before) continue;
    let [low, high] = [at, at + step];
    while (high - low > minute) {
      const middle = low + Math.floor((high - low) / 2 / minute) * minute;
      if (offsetAt(middle) === before) low = middle;
      else high = middle;
    }
    changes.push({ at: high, before, after });
    before = after;
  }
  return changes;
}

/** Of a zone whose clocks stand as they are, one that is none. */
function momentsOf(zone: string): Change[] {
  const changes = changesOf(zone);
  const offset = offsetsOf(zone)(from);
  return changes.length > 0 ? changes : [{ at: from, before: offset, after: offset }];
}

interface Pattern {
  readonly text: string;
  /** It has no `*` and no `/` in minutes and hours. */
  readonly namesTimes: boolean;
  /** Whether a clock that shows this, told in UTC, shows one of its times. */
  readonly includes: (shown: number) => boolean;
}

type Numbers = readonly number[];
const numbers = (count: number): Numbers => [...Array(count).keys()];

interface Times {
  readonly text: string;
  readonly minutes?: Numbers;
  readonly hours?: Numbers;
  readonly isDay?: (date: Date) => boolean;
}

function pattern({ text, minutes = numbers(60), hours = numbers(24), isDay = () => true }: Times): Pattern {
  const [inHour, inDay] = [new Set(minutes), new Set(hours)];
  return {
    text,
    namesTimes: !/[*/]/.test(text.split(' ', 2).join('')),
    includes: (shown) => {
      const minutesShown = Math.floor(shown / minute);
      if (!inHour.has(minutesShown % 60) || !inDay.has(Math.floor(minutesShown / 60) % 24)) return false;
      return isDay(new Date(shown));
    },
  };
}

const patterns: readonly Pattern[] = [
  ...numbers(24).flatMap((hour) =>
    [0, 30].map((at) => pattern({ text: `${at} ${hour} * * *`, minutes: [at], hours: [hour] })),
  ),
  pattern({ text: '59 23 * * *', minutes: [59], hours: [23] }),
  pattern({ text: '15,45 1,23 * * *', minutes: [15, 45], hours: [1, 23] }),
  pattern({ text: '10 0-23 * * *', minutes: [10] }),
  pattern({ text: '0 0 * * SUN', minutes: [0], hours: [0], isDay: (date) => date.getUTCDay() === 0 }),
  pattern({ text: '30 23 * * 6', minutes: [30], hours: [23], isDay: (date) => date.getUTCDay() === 6 }),
  pattern({ text: '30 2 1-7 * *', minutes: [30], hours: [2], isDay: (date) => date.getUTCDate() <= 7 }),
  pattern({ text: '15 3 * OCT *', minutes: [15], hours: [3], isDay: (date) => date.getUTCMonth() === 9 }),
  pattern({ text: '0 0,12 */2 * *', minutes: [0], hours: [0, 12], isDay: (date) => date.getUTCDate() % 2 === 1 }),
  pattern({ text: '*/15 * * * *', minutes: [0, 15, 30, 45] }),
  pattern({ text: '7 * * * *', minutes: [7] }),
  pattern({ text: '0 */2 * * *', minutes: [0], hours: numbers(12).map((n) => n * 2) }),
  pattern({ text: '*/20 1-3,23 * * *', minutes: [0, 20, 40], hours: [1, 2, 3, 23] }),
  pattern({ text: '*/30 0 * * *', minutes: [0, 30], hours: [0] }),
];

/** What a clock shows from a day and some hours before a change until as long after it, each minute. */
interface Minute {
  readonly at: number;
  readonly shown: number;
  /** The latest that was shown before. */
  readonly latest: number;
}

function minutesAround({ at, before, after }: Change): Minute[] {
  const minutes: Minute[] = [];
  let latest = -Infinity;
  for (let now = at - day - 180 * minute; now <= at + day + 180 * minute; now += minute) {
    const shown = now + (now < at ? before : after);
    minutes.push({ at: now, shown, latest: minutes.length === 0 ? shown - minute : latest });
    latest = Math.max(latest, shown);
  }
  return minutes;
}

function expected({ namesTimes, includes }: Pattern, minutes: readonly Minute[]): number[] {
  const isDue = ({ shown, latest }: Minute): boolean => {
    if (!namesTimes) return includes(shown);
    for (let one = latest + minute; one <= shown; one += minute) if (includes(one)) return true;
    return false;
  };
  return minutes.filter(isDue).map(({ at }) => at);
}

function told(timetable: Timetable, minutes: readonly Minute[]): number[] {
  const [first, last] = [minutes[0], minutes.at(-1)] as [Minute, Minute];
  const times: number[] = [];
  let next = timetable.next(0, first.at - 1);
  while (next !== undefined && next <= last.at) {
    times.push(next);
    next = timetable.next(0, next);
  }
  return times;
}

const show = (times: readonly number[]) => times.map((at) => new Date(at).toISOString().slice(0, 16));

it('the zones are those of the world, and their clocks do change', () => {
  expect(zones.length).toBeGreaterThan(400);
  expect(changesOf('Europe/Lisbon')).toHaveLength(24);
  expect(changesOf('America/Nuuk')[0]).toEqual({
    at: Date.UTC(2025, 2, 30, 1),
    before: -120 * minute,
    after: -60 * minute,
  });
});

it('are those of a walk from minute to minute by the rules of cron', () => {
  for (const zone of zones) {
    const around = momentsOf(zone).map(minutesAround);
    for (const each of patterns) {
      const timetable = cron(each.text, zone, 'a test');
      for (const minutes of around) {
        const [ours, theirs] = [told(timetable, minutes), expected(each, minutes)];
        if (`${ours}` !== `${theirs}`) expect(show(ours), `${each.text} in ${zone}`).toEqual(show(theirs));
      }
    }
  }
});

it('of a daily pattern are one on each day of the calendar', () => {
  for (const zone of zones) {
    const offsetAt = offsetsOf(zone);
    const timetable = cron('30 23 * * *', zone, 'a test');
    const days: number[] = [];
    // What is run as the clocks jump over midnight belongs to the day before.
    const dayOf = (at: number) => Math.floor((at - 1 + offsetAt(at - 1)) / day);
    for (let at = timetable.next(0, from) as number; at < until; at = timetable.next(0, at) as number) {
      days.push(dayOf(at));
    }
    const gap = days.findIndex((one, index) => index > 0 && one !== (days[index - 1] as number) + 1);
    expect(gap, `${zone}: ${show([(days[gap] ?? 0) * day])}`).toBe(-1);
    expect(days.length).toBeGreaterThan(4_380);
  }
});
