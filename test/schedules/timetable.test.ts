import { describe, expect, it } from 'vitest';
import { cron, epochInterval, interval, once, pause } from '../../src/schedules/timetable.ts';

const at = (text: string) => Date.parse(text);

/** The next `count` times of a pattern after a time, as they are in UTC. */
function runs(pattern: string, timezone: string, after: string, count: number): string[] {
  const timetable = cron(pattern, timezone, 'a test');
  const found: string[] = [];
  let from = at(after);
  while (found.length < count) {
    from = timetable.next(0, from) as number;
    found.push(new Date(from).toISOString().slice(0, 16));
  }
  return found;
}

describe('once', () => {
  it('is due after the delay, and never again', () => {
    const timetable = once(250);
    expect(timetable.first(1_000)).toBe(1_250);
    expect(timetable.next(1_000, 1_250)).toBeUndefined();
    expect(timetable.passed(1_000, 1_250, 9_999)).toEqual({ latest: 1_250, count: 1 });
  });
});

describe('an interval', () => {
  it('has its n-th run due at start + n times the delay, exactly, for 10,000 runs', () => {
    const [start, delayMs] = [123_456_789.123, 33.3];
    const timetable = interval(delayMs);
    let due = timetable.first(start);
    for (let n = 1; n <= 10_000; n += 1) {
      if (due !== start + n * delayMs) expect.unreachable(`run ${n} is due at ${due}`);
      due = timetable.next(start, due) as number;
    }
  });

  it('can have the first at the start', () => {
    const timetable = interval(100, { atStart: true });
    expect(timetable.first(1_000)).toBe(1_000);
    expect(timetable.next(1_000, 1_000)).toBe(1_100);
  });

  it.each([
    [1_000, 1_100],
    [1_099, 1_100],
    [1_100, 1_200],
    [1_950, 2_000],
  ])('has after %d the next at %d', (after, next) => {
    expect(interval(100).next(1_000, after)).toBe(next);
  });

  it('counts what has passed, however much', () => {
    expect(interval(100).passed(1_000, 1_100, 1_100)).toEqual({ latest: 1_100, count: 1 });
    expect(interval(100).passed(1_000, 1_100, 1_399)).toEqual({ latest: 1_300, count: 3 });
    expect(interval(1).passed(0, 1, 1e12)).toEqual({ latest: 1e12, count: 1e12 });
  });
});

describe('an interval of the epoch', () => {
  it('has its times at multiples of the delay, whenever it starts', () => {
    const timetable = epochInterval(60_000);
    const start = at('2026-01-01T12:00:59.900Z');
    expect(timetable.clock).toBe('wall');
    expect(timetable.first(start)).toBe(at('2026-01-01T12:01Z'));
    expect(timetable.first(at('2026-01-01T12:00Z'))).toBe(at('2026-01-01T12:01Z'));
    expect(timetable.next(start, at('2026-01-01T12:01Z'))).toBe(at('2026-01-01T12:02Z'));
  });

  it('counts those that have passed', () => {
    const passed = epochInterval(60_000).passed(0, at('2026-01-01T12:01Z'), at('2026-01-01T12:03:30Z'));
    expect(passed).toEqual({ latest: at('2026-01-01T12:03Z'), count: 3 });
  });
});

describe('a pause', () => {
  it('begins with the end of a run', () => {
    expect(pause(100).first(1_000)).toBe(1_100);
    expect(pause(100).next(1_000, 5_550)).toBe(5_650);
  });

  it('can come after a first run at the start', () => {
    expect(pause(100, { atStart: true }).first(1_000)).toBe(1_000);
  });
});

describe('cron', () => {
  it('gives what comes after a time, and not that time itself', () => {
    const timetable = cron('*/5 * * * * *', 'UTC', 'a test');
    expect(timetable.next(0, at('2026-01-01T00:00:04.999Z'))).toBe(at('2026-01-01T00:00:05Z'));
    expect(timetable.next(0, at('2026-01-01T00:00:05.000Z'))).toBe(at('2026-01-01T00:00:10Z'));
    expect(timetable.next(0, at('2026-01-01T00:00:05.001Z'))).toBe(at('2026-01-01T00:00:10Z'));
    expect(timetable.first(at('2026-01-01T00:00:05.001Z'))).toBe(at('2026-01-01T00:00:10Z'));
  });

  it('goes by a time zone', () => {
    expect(runs('30 9 * * MON', 'Asia/Kolkata', '2026-01-01T00:00Z', 1)).toEqual(['2026-01-05T04:00']);
  });

  it('takes seconds, years and names', () => {
    expect(cron('15 * * * * *', 'UTC', 'a test').next(0, at('2026-01-01T00:00Z'))).toBe(at('2026-01-01T00:00:15Z'));
    expect(runs('@daily', 'UTC', '2026-01-01T00:00Z', 1)).toEqual(['2026-01-02T00:00']);
    const last = cron('0 0 0 1 1 * 2099', 'UTC', 'a test');
    expect(last.next(0, at('2026-01-01T00:00Z'))).toBe(at('2099-01-01T00:00Z'));
    expect(last.next(0, at('2099-01-01T00:00Z'))).toBeUndefined();
    const twice = cron('0 */30 1 26 10 * 2098', 'Europe/Lisbon', 'a test');
    expect(twice.next(0, at('2098-10-26T00:30Z'))).toBe(at('2098-10-26T01:00Z'));
    expect(twice.next(0, at('2098-10-26T01:30Z'))).toBeUndefined();
  });

  it('knows leap days', () => {
    expect(runs('0 0 29 2 *', 'UTC', '2026-10-02T00:00Z', 2)).toEqual(['2028-02-29T00:00', '2032-02-29T00:00']);
    expect(runs('0 0 29 2 *', 'UTC', '2096-03-01T00:00Z', 1)).toEqual(['2104-02-29T00:00']);
  });

  it('counts what has passed, up to 1,000 at a time, and finds the last of them', () => {
    const timetable = cron('*/10 * * * *', 'UTC', 'a test');
    const due = at('2026-01-01T00:00Z');
    expect(timetable.passed(0, due, due)).toEqual({ latest: due, count: 1 });
    expect(timetable.passed(0, due, at('2026-01-01T01:09:59Z'))).toEqual({ latest: at('2026-01-01T01:00Z'), count: 7 });
    const late = timetable.passed(0, due, at('2027-01-01T00:00Z'));
    expect(late).toEqual({ latest: at('2027-01-01T00:00Z'), count: 1_000 });
    expect(timetable.passed(0, due, at('2027-01-01T00:00Z') - 1).latest).toBe(at('2026-12-31T23:50Z'));
  });

  it('finds nothing after the last of all', () => {
    const timetable = cron('0 0 0 1 1 * 2099', 'UTC', 'a test');
    const due = at('2099-01-01T00:00Z');
    expect(timetable.passed(0, due, due + 1e9)).toEqual({ latest: due, count: 1 });
  });

  it.each(['x', '', '* * * *', '60 * * * *', '* * * * * * * *', '2030-01-01T00:00:00', '@reboot'])(
    'refuses the pattern %j',
    (pattern) => {
      const call = () => cron(pattern, undefined, 'scheduleTask()');
      expect(call).toThrow(TypeError);
      expect(call).toThrow(
        `option "cron" of scheduleTask() must be a cron pattern such as '*/5 * * * *'; got '${pattern}'`,
      );
    },
  );

  it.each(['0 0 30 2 *', '0 0 0 1 1 * 2020'])('refuses %j, which never comes', (pattern) => {
    const call = () => cron(pattern, 'UTC', 'scheduleTask()');
    expect(call).toThrow(RangeError);
    expect(call).toThrow(
      `option "cron" of scheduleTask() must be a pattern whose time will come; '${pattern}' never does`,
    );
  });

  it.each(['Mars/Olympus', 'Lisbon'])('refuses the time zone %j', (timezone) => {
    const call = () => cron('* * * * *', timezone, 'scheduleTask()');
    expect(call).toThrow(TypeError);
    expect(call).toThrow(
      `option "timezone" of scheduleTask() must be a time zone such as 'Europe/Lisbon' or 'UTC'; got '${timezone}'`,
    );
  });
});

/** Each is [pattern, what comes after the time, in UTC]. */
describe('when the clock jumps forward, a time that does not exist', () => {
  // Lisbon, 2027-03-28: after 00:59:59 comes 02:00, at 01:00 UTC.
  it('is run as it jumps, if the pattern names it', () => {
    expect(runs('30 1 * * *', 'Europe/Lisbon', '2027-03-27T12:00Z', 2)).toEqual([
      '2027-03-28T01:00',
      '2027-03-29T00:30',
    ]);
  });

  it('is run as it jumps also if it is one of a list, and once for all that are gone', () => {
    expect(runs('15,45 1,5 * * *', 'Europe/Lisbon', '2027-03-27T12:00Z', 4)).toEqual([
      '2027-03-28T01:00',
      '2027-03-28T04:15',
      '2027-03-28T04:45',
      '2027-03-29T00:15',
    ]);
  });

  it('is left out of what runs every so often', () => {
    expect(runs('*/30 * * * *', 'Europe/Lisbon', '2027-03-28T00:00Z', 3)).toEqual([
      '2027-03-28T00:30',
      '2027-03-28T01:00',
      '2027-03-28T01:30',
    ]);
  });

  it('can be midnight', () => {
    // Santiago, 2026-09-06: after 23:59:59 comes 01:00, at 04:00 UTC.
    expect(runs('0 0 * * *', 'America/Santiago', '2026-09-05T00:00Z', 3)).toEqual([
      '2026-09-05T04:00',
      '2026-09-06T04:00',
      '2026-09-07T03:00',
    ]);
  });

  it.each(['America/Nuuk', 'America/Scoresbysund'])('can be the last hour of a day, as in %s', (timezone) => {
    // Both, 2025-03-29: after 22:59:59 comes 00:00 of the day after, at 01:00 UTC.
    expect(runs('30 23 * * *', timezone, '2025-03-28T12:00Z', 3)).toEqual([
      '2025-03-29T01:30',
      '2025-03-30T01:00',
      '2025-03-31T00:30',
    ]);
    expect(runs('0 0 * * *', timezone, '2025-03-29T12:00Z', 2)).toEqual(['2025-03-30T01:00', '2025-03-31T01:00']);
  });

  it('can be a whole day', () => {
    // Apia, 2011-12-30: after 23:59:59 of the 29th comes the 31st, at 10:00 UTC.
    expect(runs('0 9 * * *', 'Pacific/Apia', '2011-12-29T12:00Z', 3)).toEqual([
      '2011-12-29T19:00',
      '2011-12-30T10:00',
      '2011-12-30T19:00',
    ]);
  });

  it('can be half an hour', () => {
    // Lord Howe, 2026-10-04: after 01:59:59 comes 02:30, at 15:30 UTC of the day before.
    expect(runs('15 2 * * *', 'Australia/Lord_Howe', '2026-10-02T12:00Z', 3)).toEqual([
      '2026-10-02T15:45',
      '2026-10-03T15:30',
      '2026-10-04T15:15',
    ]);
  });
});

describe('when the clock jumps back, a time that comes twice', () => {
  // Lisbon, 2026-10-25: after 01:59:59 comes 01:00, at 01:00 UTC.
  it('is run the first time, if the pattern names it', () => {
    expect(runs('30 1 * * *', 'Europe/Lisbon', '2026-10-24T12:00Z', 2)).toEqual([
      '2026-10-25T00:30',
      '2026-10-26T01:30',
    ]);
  });

  it('is run the first time also if it is one of a list', () => {
    expect(runs('30 1,2 * * *', 'Europe/Lisbon', '2026-10-24T12:00Z', 3)).toEqual([
      '2026-10-25T00:30',
      '2026-10-25T02:30',
      '2026-10-26T01:30',
    ]);
  });

  it('is run both times by what runs every so often', () => {
    expect(runs('*/30 * * * *', 'Europe/Lisbon', '2026-10-25T00:00Z', 4)).toEqual([
      '2026-10-25T00:30',
      '2026-10-25T01:00',
      '2026-10-25T01:30',
      '2026-10-25T02:00',
    ]);
  });

  it('can be the last hour of a day', () => {
    // Santiago, 2026-04-04: after 23:59:59 comes 23:00, at 03:00 UTC of the day after.
    expect(runs('30 23 * * *', 'America/Santiago', '2026-04-04T12:00Z', 2)).toEqual([
      '2026-04-05T02:30',
      '2026-04-06T03:30',
    ]);
    expect(runs('0 0 * * *', 'America/Santiago', '2026-04-04T12:00Z', 2)).toEqual([
      '2026-04-05T04:00',
      '2026-04-06T04:00',
    ]);
  });

  it('can be half an hour', () => {
    // Lord Howe, 2026-04-05: after 01:59:59 comes 01:30, at 15:00 UTC of the day before.
    expect(runs('45 1 * * *', 'Australia/Lord_Howe', '2026-04-04T12:00Z', 2)).toEqual([
      '2026-04-04T14:45',
      '2026-04-05T15:15',
    ]);
    expect(runs('*/15 * * * *', 'Australia/Lord_Howe', '2026-04-04T14:15Z', 5)).toEqual([
      '2026-04-04T14:30',
      '2026-04-04T14:45',
      '2026-04-04T15:00',
      '2026-04-04T15:15',
      '2026-04-04T15:30',
    ]);
  });
});

it.each(['Europe/Lisbon', 'America/Santiago', 'Australia/Lord_Howe'])(
  'a daily job runs once on each day of the calendar in %s, at whatever time',
  (timezone) => {
    const day = new Intl.DateTimeFormat('en-CA', { timeZone: timezone, dateStyle: 'short' });
    for (const time of ['0 0', '59 23', '30 1', '0 2', '15 2', '45 1']) {
      const days = runs(`${time} * * *`, timezone, '2026-01-01T12:00Z', 500).map((run) => day.format(at(`${run}Z`)));
      const calendar = [...days.keys()].map((n) =>
        new Date(at(`${days[0]}T00:00Z`) + n * 86_400_000).toISOString().slice(0, 10),
      );
      expect(days).toEqual(calendar);
    }
  },
);
