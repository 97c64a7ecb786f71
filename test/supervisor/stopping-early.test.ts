/** Stopping from everywhere, refusing what comes too late, and being ready in time or not at all. */
import { type StopReport, TaskSupervisor, TaskwardenError } from 'taskwarden';
import { describe, expect, it } from 'vitest';
import { begun, failure, heard } from '../fixtures/listening.ts';
import { Program, runProgram } from '../fixtures/program.ts';
import { add } from '../fixtures/tasks/echo.ts';
import { Gate, holds } from '../fixtures/tasks/holds.ts';
import { spinsOn } from '../fixtures/tasks/spins.ts';

const one = { poolSize: 1, reserveNormal: 0, reserveHigh: 0, idleTimeoutMs: Infinity };
const nothing: StopReport = { finished: 0, canceled: 0, terminated: 0 };

function superviseOne(options = {}): TaskSupervisor {
  return new TaskSupervisor({ logger: false, threads: one, ...options });
}

/** What the supervisor says of its end, as often as it does. */
function endsOf(supervisor: TaskSupervisor): StopReport[] {
  const reports: StopReport[] = [];
  supervisor.on('supervisor:stopped', ({ report }) => reports.push(report));
  return reports;
}

describe('stop() from a listener', () => {
  it('of supervisor:stopping joins the stop that is on its way', async () => {
    const supervisor = superviseOne();
    await using gate = await Gate.create();
    const ends = endsOf(supervisor);
    const inner: Promise<StopReport>[] = [];
    supervisor.on('supervisor:stopping', () => inner.push(supervisor.stop()));
    const handle = holds.with({ supervisor })(gate.port, 'held');
    await gate.arrived(1);
    const outer = supervisor.stop();
    gate.open();
    expect(await outer).toEqual({ ...nothing, finished: 1 });
    expect(await handle).toBe('held');
    expect(inner).toHaveLength(1);
    expect(await inner[0]).toBe(await outer);
    expect(ends).toEqual([await outer]);
  });

  it('of supervisor:stopping may shorten it, and the report counts all', async () => {
    const supervisor = superviseOne();
    const ends = endsOf(supervisor);
    supervisor.once('supervisor:stopping', () => void supervisor.stop({ wait: false }));
    const running = spinsOn.with({ supervisor })();
    await begun(running);
    const waiting = [1, 2, 3].map((n) => add.with({ supervisor })(n, n));
    const report = await supervisor.stop();
    for (const handle of [running, ...waiting]) expect(handle.info.endReason).toBe('shutdown');
    expect(report).toEqual({ finished: 0, canceled: 3, terminated: 1 });
    expect(ends).toEqual([report]);
  });

  it('of task:canceled stops once, and settles all', async () => {
    const supervisor = superviseOne();
    const ends = endsOf(supervisor);
    const running = spinsOn.with({ supervisor })();
    await begun(running);
    const waiting = [1, 2, 3].map((n) => add.with({ supervisor })(n, n));
    const inner: Promise<StopReport>[] = [];
    supervisor.on('task:canceled', () => inner.push(supervisor.stop({ wait: false })));
    const outer = supervisor.stop({ wait: false });
    const report = await outer;
    expect(report).toEqual({ finished: 0, canceled: 3, terminated: 1 });
    expect(inner).toHaveLength(4);
    for (const each of inner) expect(await each).toBe(report);
    for (const handle of [running, ...waiting]) expect(handle.info.endReason).toBe('shutdown');
    expect(ends).toEqual([report]);
  });

  it('of task:canceled may be what begins it', async () => {
    const supervisor = superviseOne();
    const ends = endsOf(supervisor);
    supervisor.once('task:canceled', () => void supervisor.stop());
    const stopped = heard(supervisor, 'supervisor:stopped');
    add.with({ supervisor })(1, 1).cancel();
    expect((await stopped).report).toMatchObject({ terminated: 0 });
    expect(ends).toHaveLength(1);
    expect(supervisor.getInfo().pending).toBe(0);
  });

  it('of supervisor:stopped gives the report that is there', async () => {
    const supervisor = superviseOne().start();
    const ends = endsOf(supervisor);
    const inner: Promise<StopReport>[] = [];
    supervisor.on('supervisor:stopped', () => inner.push(supervisor.stop({ wait: false })));
    expect(await supervisor.stop()).toEqual(nothing);
    expect(await Promise.all(inner)).toEqual([nothing]);
    expect(ends).toHaveLength(1);
  });
});

describe('block', () => {
  it.each([
    ['off()', (supervisor: TaskSupervisor) => supervisor.off('supervisor:stopped')],
    ['removeAllListeners()', (supervisor: TaskSupervisor) => supervisor.removeAllListeners()],
  ])('gets the report after %s, too', async (_, forget) => {
    const supervisor = superviseOne();
    const blocked = supervisor.block({ signals: [] });
    forget(supervisor);
    await add.with({ supervisor })(1, 1);
    const report = await supervisor.stop();
    expect(await blocked).toBe(report);
    expect(await supervisor.block()).toBe(report);
  });

  it('twice takes one signal as one: what runs finishes', async () => {
    const program = new Program('two-blocks.mjs');
    await program.printed('running');
    program.kill('SIGTERM');
    const { code, lines, stderr } = await program.ended;
    const report = '{"finished":1,"canceled":0,"terminated":0}';
    expect(lines).toEqual(['running', 'finished', report, report, '0 0']);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  });
});

describe('stop with a number', () => {
  it('waits for longer than timers of Node can', async () => {
    const supervisor = superviseOne();
    await using gate = await Gate.create();
    const held = holds.with({ supervisor })(gate.port, 'held');
    await gate.arrived(1);
    const waiting = Array.from({ length: 300 }, (_, n) => add.with({ supervisor })(n, 1));
    const stopped = supervisor.stop({ wait: 2 ** 32 });
    gate.open();
    expect(await stopped).toEqual({ finished: 301, canceled: 0, terminated: 0 });
    expect(held.result).toBe('held');
    expect(waiting.map(({ result }) => result)).toEqual(waiting.map((_, n) => n + 1));
  });

  it('settles each of very many that wait', async () => {
    const supervisor = superviseOne();
    const running = spinsOn.with({ supervisor })();
    await begun(running);
    const waiting = Array.from({ length: 20_000 }, (_, n) => add.with({ supervisor })(n, 1));
    expect(await supervisor.stop({ wait: 300 })).toEqual({ finished: 0, canceled: 20_000, terminated: 1 });
    expect(new Set(waiting.map(({ status }) => status))).toEqual(new Set(['canceled']));
    expect(running.info).toMatchObject({ status: 'canceled', endReason: 'shutdown' });
    expect(supervisor.getInfo()).toMatchObject({ pending: 0, ended: { shutdown: 20_001 } });
  });
});

describe('refused tasks', () => {
  it('are in no stop report, no count and no list', async () => {
    const supervisor = superviseOne({ maxQueued: 1 });
    await using gate = await Gate.create();
    const held = holds.with({ supervisor, taskId: 'held' })(gate.port, 'held');
    await gate.arrived(1);
    const twin = add.with({ supervisor, taskId: 'held' })(1, 1);
    const waiting = add.with({ supervisor })(1, 1);
    const tooMany = add.with({ supervisor })(2, 2);
    const stopped = supervisor.stop();
    const tooLate = add.with({ supervisor })(3, 3);
    const codes = [twin, tooMany, tooLate].map(async (handle) => (await failure(handle)) as TaskwardenError);
    expect((await Promise.all(codes)).map(({ code }) => code)).toEqual([
      'DUPLICATE_TASK_ID',
      'QUEUE_FULL',
      'SUPERVISOR_STOPPED',
    ]);
    expect(supervisor.getTasks().map(({ id }) => id)).toEqual(['held', waiting.id]);
    expect(supervisor.getTaskInfo('held')).toMatchObject({ name: 'holds', status: 'started' });
    gate.open();
    expect(await stopped).toEqual({ finished: 2, canceled: 0, terminated: 0 });
    expect([held.result, waiting.result]).toEqual(['held', 2]);
    expect(supervisor.getInfo()).toMatchObject({ submitted: 2, ended: { completed: 2, failed: 0 } });
    expect(supervisor.getTasks().map(({ status }) => status)).toEqual(['completed', 'completed']);
  });

  it('are not to be found by their id', async () => {
    await using supervisor = superviseOne({ maxQueued: 1 });
    await using gate = await Gate.create();
    const held = holds.with({ supervisor })(gate.port, 'held');
    await gate.arrived(1);
    const waiting = add.with({ supervisor })(1, 1);
    const tooMany = add.with({ supervisor })(2, 2);
    expect(await failure(tooMany)).toMatchObject({ code: 'QUEUE_FULL', taskId: tooMany.id });
    expect(supervisor.getTaskInfo(tooMany.id)).toBeUndefined();
    gate.open();
    await Promise.all([held, waiting]);
  });
});

describe('ready', () => {
  it('rejects where no thread comes up, and that is logged once', async () => {
    const errors: string[] = [];
    const logger = { warn: () => {}, error: (line: string) => void errors.push(line) };
    await using supervisor = new TaskSupervisor({
      logger,
      threads: { minSize: 2, execArgv: ['--require', '/nonexistent.js'] },
    });
    const error = await failure(supervisor.ready());
    expect(error).toBeInstanceOf(TaskwardenError);
    expect(error).toMatchObject({ code: 'LANE_BROKEN' });
    expect((error as Error).message).toContain('/nonexistent.js');
    expect(supervisor.getInfo().threads).toMatchObject({ size: 0, idle: 0 });
    expect(await failure(supervisor.ready())).toMatchObject({ code: 'LANE_BROKEN' });
    expect(errors).toHaveLength(1);
    expect(errors[0]).toContain('/nonexistent.js');
  });

  it('resolves after configure() has removed the cause', async () => {
    await using supervisor = new TaskSupervisor({
      logger: false,
      threads: { minSize: 2, execArgv: ['--require', '/nonexistent.js'] },
    });
    await failure(supervisor.ready());
    supervisor.configure({ threads: { execArgv: [] } });
    expect(await supervisor.ready()).toBe(supervisor);
    expect(supervisor.getInfo().threads).toMatchObject({ size: 2, idle: 2 });
  });

  it('and start refuse a supervisor that has stopped', async () => {
    const supervisor = superviseOne({ threads: { ...one, minSize: 1 } });
    await supervisor.ready();
    await supervisor.stop();
    expect(await failure(supervisor.ready())).toMatchObject({ code: 'SUPERVISOR_STOPPED' });
    expect(() => supervisor.start()).toThrow(expect.objectContaining({ code: 'SUPERVISOR_STOPPED' }));
    expect(supervisor.state).toBe('stopped');
    expect(supervisor.getInfo().threads.size).toBe(0);
  });

  it('rejects when the supervisor is stopped meanwhile', async () => {
    const supervisor = superviseOne({ threads: { ...one, minSize: 1 } });
    const ready = failure(supervisor.ready());
    expect(await supervisor.stop({ wait: false })).toEqual(nothing);
    expect(await ready).toMatchObject({ code: 'SUPERVISOR_STOPPED' });
  });
});

describe('what a task has printed before it ended', () => {
  const expected = Array.from({ length: 1_000 }, (_, line) => `line ${line}`);

  it.each([
    ['stop()', 'stop'],
    ['process.exit()', 'exit'],
  ])('is not lost by %s', async (_, then) => {
    const { code, lines, stderr } = await runProgram('prints.mjs', { args: [then] });
    const printed = [...lines, ...stderr.split('\n')].filter((line) => line.startsWith('line '));
    const byNumber = (a: string, b: string) => Number(a.slice(5)) - Number(b.slice(5));
    expect(printed.toSorted(byNumber)).toEqual(expected);
    expect(lines.includes('stopped')).toBe(then === 'stop');
    expect(code).toBe(0);
  });
});
