/** `runEverywhere()`: once in each thread or child. */
import { backgroundTask, TaskSupervisor } from 'taskwarden';
import { describe, expect, it } from 'vitest';
import { failure, heard } from '../fixtures/listening.ts';
import { echo } from '../fixtures/tasks/echo.ts';
import { exits } from '../fixtures/tasks/exits.ts';
import { Gate, holds } from '../fixtures/tasks/holds.ts';

const kinds = [
  ['thread', 'threads'],
  ['process', 'processes'],
] as const;

describe.each(kinds)('runEverywhere() (%s)', (type, pool) => {
  function supervise(size: number): TaskSupervisor {
    const limits = { poolSize: size, minSize: size, reserveNormal: 0, reserveHigh: 0 };
    const none = { minSize: 0 };
    return new TaskSupervisor({ threads: none, processes: none, [pool]: limits, logger: false });
  }

  it('runs once in each, and gives the result of each', async () => {
    await using supervisor = await supervise(2).ready();
    const results = await supervisor.runEverywhere(echo.with({ type }), 'hello');
    expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled']);
    expect(results.map((each) => each.status === 'fulfilled' && each.value)).toEqual(['hello', 'hello']);
    expect(new Set(results.map(({ hostId }) => hostId)).size).toBe(2);
    const hosts = supervisor.getTasks({ name: 'echo' }).map(({ threadId, pid }) => threadId ?? pid);
    expect(hosts.toSorted()).toEqual(results.map(({ hostId }) => hostId).toSorted());
    expect(supervisor.getInfo()).toMatchObject({ pending: 0, submitted: 2 });
  });

  it('waits behind what runs, before what waits; and what runs next finds all its slots', async () => {
    await using supervisor = await supervise(1).ready();
    await using gate = await Gate.create();
    const put = (label: string) => holds.with({ supervisor, type })(gate.port, label);
    const first = put('first');
    await gate.arrived(1);
    const waiting = [put('second'), put('third')];
    const everywhere = supervisor.runEverywhere(holds.with({ type }), gate.port, 'everywhere');
    expect(supervisor.getTasks({ status: 'queued' })).toHaveLength(3);
    gate.open();
    await Promise.all([first, ...waiting, everywhere]);
    expect(gate.arrivals).toEqual(['first', 'everywhere', 'second', 'third']);
    expect(supervisor.getInfo()[pool]).toMatchObject({ size: 1 });
    expect(await echo.with({ supervisor, type })('still there')).toBe('still there');
  });

  it('tells of a host that dies meanwhile, and of what waits for it', async () => {
    await using supervisor = await supervise(1).ready();
    await using gate = await Gate.create();
    const first = holds.with({ supervisor, type, stopGraceMs: 0 })(gate.port, 'first');
    await gate.arrived(1);
    const results = supervisor.runEverywhere(echo.with({ type, crashRetries: 3, retries: 3 }), 'never');
    first.cancel();
    expect(await results).toMatchObject([{ status: 'rejected', reason: { code: 'TASK_CRASHED' } }]);
    await failure(first);
    const [died] = await supervisor.runEverywhere(exits.with({ type, crashRetries: 3 }), 3);
    expect(died).toMatchObject({ status: 'rejected', reason: { code: 'TASK_CRASHED' } });
    expect(await echo.with({ supervisor, type })('a new one')).toBe('a new one');
  });

  it('also runs in those that come later, until it is stopped', async () => {
    await using supervisor = await supervise(1).ready();
    const everywhere = supervisor.runEverywhere(echo.with({ type, name: 'later' }), 1, { andLater: true });
    expect(await everywhere).toHaveLength(1);
    const ended = heard(supervisor, 'task:completed', ({ task }) => task.name === 'later');
    await supervisor.recycle();
    await ended;
    everywhere.stop();
    await supervisor.recycle();
    await echo.with({ supervisor, type })(2);
    expect(supervisor.getTasks({ name: 'later' })).toHaveLength(2);
  });

  it('can be canceled, by itself or by a filter', async () => {
    await using supervisor = await supervise(2).ready();
    await using gate = await Gate.create();
    const first = [1, 2].map((n) => holds.with({ supervisor, type })(gate.port, `first ${n}`));
    await gate.arrived(2);
    const everywhere = supervisor.runEverywhere(echo.with({ type }), 1);
    everywhere.cancel('no need');
    expect(await everywhere).toMatchObject([
      { status: 'rejected', reason: { code: 'TASK_CANCELED', cause: 'no need' } },
      { status: 'rejected', reason: { code: 'TASK_CANCELED' } },
    ]);
    const again = supervisor.runEverywhere(echo.with({ type }), 1);
    expect(supervisor.cancelTasks({ name: 'echo' })).toBe(2);
    expect((await again).map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    gate.open();
    await Promise.all(first);
    expect(await supervisor.runEverywhere(echo.with({ type }), 1)).toHaveLength(2);
  });
});

describe('runEverywhere()', () => {
  it('runs once in a thread that several tasks share', async () => {
    const threads = { poolSize: 1, minSize: 1, reserveNormal: 0, reserveHigh: 0, concurrentTasks: 4 };
    await using supervisor = await new TaskSupervisor({ threads, logger: false }).ready();
    expect(await supervisor.runEverywhere(echo, 1)).toHaveLength(1);
    expect(await Promise.all([1, 2, 3, 4].map((n) => echo.with({ supervisor })(n)))).toEqual([1, 2, 3, 4]);
  });

  it('takes neither a task of the event loop, nor one that is to be unique', async () => {
    await using supervisor = new TaskSupervisor({ logger: false });
    expect(() => supervisor.runEverywhere(echo.with({ type: 'loop' }), 1)).toThrow('runs on the event loop');
    expect(() => supervisor.runEverywhere(echo.with({ key: 'a', unique: 'join' }), 1)).toThrow('"unique"');
    expect(() => supervisor.runEverywhere(echo, 1, { andLater: 'yes' } as never)).toThrow(
      'option "andLater" of runEverywhere() must be true or false',
    );
  });

  it('is refused when the supervisor has stopped', async () => {
    const supervisor = new TaskSupervisor({ logger: false });
    await supervisor.stop();
    expect(() => supervisor.runEverywhere(echo, 1)).toThrow(expect.objectContaining({ code: 'SUPERVISOR_STOPPED' }));
  });

  it('passes a last argument that only looks like options', async () => {
    await using supervisor = await new TaskSupervisor({ threads: { minSize: 1 }, logger: false }).ready();
    const gives = backgroundTask((value: { andLater: boolean; more: number }) => value.more, { name: 'gives' });
    const [result] = await supervisor.runEverywhere(gives, { andLater: true, more: 2 });
    expect(result).toMatchObject({ status: 'fulfilled', value: 2 });
  });
});
