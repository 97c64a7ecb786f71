import { type StopReport, TaskSupervisor, type TaskwardenError } from 'taskwarden';
import { describe, expect, it } from 'vitest';
import { begun, failure, heard } from '../fixtures/listening.ts';
import { Program, runProgram } from '../fixtures/program.ts';
import { add } from '../fixtures/tasks/echo.ts';
import { Gate, holds, yields } from '../fixtures/tasks/holds.ts';
import { spinsOn, spinsUntil } from '../fixtures/tasks/spins.ts';

const dayMs = 24 * 60 * 60 * 1_000;
const narrow = { poolSize: 1, reserveNormal: 0, reserveHigh: 0, idleTimeoutMs: Infinity };

function superviseNarrow(): TaskSupervisor {
  return new TaskSupervisor({ logger: false, threads: narrow });
}

describe('start and ready', () => {
  it('go from idle to running, and emit one event', async () => {
    await using supervisor = new TaskSupervisor({ id: 'the-one', name: 'one' });
    const started: string[] = [];
    supervisor.on('supervisor:started', ({ id }) => started.push(`${id} ${supervisor.state}`));
    expect(supervisor.state).toBe('idle');
    expect(supervisor.start()).toBe(supervisor);
    expect(supervisor.state).toBe('running');
    supervisor.start();
    expect(started).toEqual(['the-one running']);
    expect(supervisor).toMatchObject({ id: 'the-one', name: 'one' });
  });

  it('happen by the first submit', async () => {
    await using supervisor = new TaskSupervisor();
    const started = heard(supervisor, 'supervisor:started');
    const handle = add.with({ supervisor })(1, 1);
    expect(supervisor.state).toBe('running');
    await started;
    await handle;
  });

  it('start no thread before there is a task, unless minSize says so', async () => {
    await using supervisor = new TaskSupervisor().start();
    await supervisor.ready();
    expect(supervisor.getInfo().threads.size).toBe(0);
  });

  it.each([
    [2, 2],
    ['max', 4],
  ] as const)('bring up the threads of minSize %s', async (minSize, size) => {
    await using supervisor = new TaskSupervisor({
      threads: { poolSize: 2, reserveNormal: 1, reserveHigh: 0, minSize },
    });
    const ids: number[] = [];
    supervisor.on('thread:started', ({ threadId }) => ids.push(threadId));
    expect(await supervisor.ready()).toBe(supervisor);
    expect(new Set(ids).size).toBe(size);
    expect(supervisor.getInfo().threads).toMatchObject({ size, idle: size, maxSize: 19 });
  });
});

describe('threads that are not needed', () => {
  it('are retired after idleTimeoutMs, down to minSize', async () => {
    await using supervisor = new TaskSupervisor({
      threads: { poolSize: 3, reserveNormal: 0, reserveHigh: 0, minSize: 1, idleTimeoutMs: 30 },
    });
    await using gate = await Gate.create();
    const handles = ['a', 'b', 'c'].map((label) => holds.with({ supervisor })(gate.port, label));
    await gate.arrived(3);
    const retired = heard(supervisor, 'thread:exited', () => supervisor.getInfo().threads.size === 1);
    gate.open();
    await Promise.all(handles);
    const { exitCode, cause } = await retired;
    expect({ exitCode: typeof exitCode, cause }).toEqual({ exitCode: 'number', cause: undefined });
    expect(supervisor.getInfo().threads).toMatchObject({ size: 1, idle: 1 });
    expect(await add.with({ supervisor })(1, 1)).toBe(2);
    expect(supervisor.getInfo().threads.size).toBe(1);
  });

  it('are for critical tasks as far as maxSize; more of them wait, before all others', async () => {
    await using supervisor = new TaskSupervisor({ threads: { ...narrow, maxSize: 2 } });
    await using gate = await Gate.create();
    const started: string[] = [];
    supervisor.on('task:started', ({ task }) => started.push(task.id));
    const normal = ['first', 'second'].map((taskId) => holds.with({ supervisor, taskId })(gate.port, taskId));
    await gate.arrived(1);
    const critical = ['a', 'b', 'c'].map((taskId) =>
      holds.with({ supervisor, taskId, priority: 'critical' })(gate.port, taskId),
    );
    await gate.arrived(2);
    expect([...normal, ...critical].map(({ status }) => status)).toEqual([
      'started',
      'queued',
      'started',
      'queued',
      'queued',
    ]);
    expect(supervisor.getInfo().threads).toMatchObject({ size: 2, maxSize: 2, running: 2 });
    gate.pass('first');
    await gate.arrived(3);
    gate.pass('a');
    await gate.arrived(4);
    gate.open();
    await Promise.all([...normal, ...critical]);
    expect(started).toEqual(['first', 'a', 'b', 'c', 'second']);
    expect(supervisor.getInfo().threads.size).toBe(2);
  });

  it.each(['critical', 'low'] as const)(
    'are never more than maxSize, however many %s tasks come at once',
    async (priority) => {
      await using supervisor = new TaskSupervisor({ threads: { poolSize: 0, maxSize: 3 }, logger: false });
      let [size, most] = [0, 0];
      supervisor.on('thread:started', () => {
        size += 1;
        most = Math.max(most, size);
      });
      supervisor.on('thread:exited', () => {
        size -= 1;
      });
      const sums = Array.from({ length: 300 }, (_, n) => add.with({ supervisor, priority })(n, 1));
      expect(await Promise.all(sums)).toEqual(Array.from({ length: 300 }, (_, n) => n + 1));
      expect(most).toBe(3);
      await expect.poll(() => supervisor.getInfo().threads.running).toBe(0); // a batch ends after its last result
    },
  );
});

describe('configure', () => {
  it('grows a pool while it runs: waiting tasks start', async () => {
    await using supervisor = superviseNarrow();
    await using gate = await Gate.create();
    const handles = ['a', 'b', 'c'].map((label) => holds.with({ supervisor })(gate.port, label));
    await gate.arrived(1);
    expect(handles.map(({ status }) => status)).toEqual(['started', 'queued', 'queued']);
    expect(supervisor.configure({ threads: { poolSize: 3 } })).toBe(supervisor);
    await gate.arrived(3);
    gate.open();
    expect(await Promise.all(handles)).toEqual(['a', 'b', 'c']);
  });

  it('shrinks a pool while it runs: what runs finishes, what waits is not lost, and threads are retired', async () => {
    await using supervisor = new TaskSupervisor({ threads: { ...narrow, poolSize: 3 } });
    await using gate = await Gate.create();
    const labels = ['a', 'b', 'c', 'd', 'e'];
    const handles = labels.map((label) => holds.with({ supervisor })(gate.port, label));
    await gate.arrived(3);
    supervisor.configure({ threads: { poolSize: 1, maxSize: 2 } });
    gate.pass('a');
    gate.pass('b');
    await Promise.all(handles.slice(0, 2));
    expect(handles.slice(2).map(({ status }) => status)).toEqual(['started', 'queued', 'queued']);
    gate.pass('c');
    await gate.arrived(4);
    expect(handles[4]?.status).toBe('queued');
    gate.open();
    expect(await Promise.all(handles)).toEqual(labels);
    expect(supervisor.getInfo().threads).toMatchObject({ poolSize: 1, maxSize: 2 });
    expect(supervisor.getInfo().threads.size).toBeLessThanOrEqual(2);
  });

  it('leaves what it does not name, and takes effect before the start too', async () => {
    await using supervisor = new TaskSupervisor({ threads: { poolSize: 7, reserveHigh: 3 } });
    supervisor.configure({ threads: { reserveNormal: 2 } });
    supervisor.configure({ loop: { poolSize: 4 } });
    expect(supervisor.getInfo()).toMatchObject({
      threads: { poolSize: 7, reserveNormal: 2, reserveHigh: 3, maxSize: 28 },
      loop: { poolSize: 4, reserveNormal: 1, reserveHigh: 1 },
    });
    expect(supervisor.state).toBe('idle');
  });

  it('brings up the threads of a larger minSize', async () => {
    await using supervisor = new TaskSupervisor({ threads: { poolSize: 2, minSize: 0 } }).start();
    supervisor.configure({ threads: { minSize: 2 } });
    await supervisor.ready();
    expect(supervisor.getInfo().threads.size).toBe(2);
  });

  it('refuses bad options, naming them, and changes nothing', async () => {
    await using supervisor = new TaskSupervisor({ threads: { poolSize: 2 } });
    expect(() => supervisor.configure({ threads: { poolSize: -1 } })).toThrow(RangeError);
    expect(() => supervisor.configure({ threads: { minSize: 50 } })).toThrow(/minSize/);
    expect(() => supervisor.configure({ treads: {} } as object)).toThrow(/treads/);
    expect(() => new TaskSupervisor({ logger: {} as never })).toThrow(TypeError);
    expect(supervisor.getInfo().threads).toMatchObject({ poolSize: 2, minSize: 0 });
  });
});

describe('stop', () => {
  it('lets all finish that was submitted, cancels what is delayed, and reports', async () => {
    const supervisor = superviseNarrow();
    await using gate = await Gate.create();
    const states: string[] = [];
    supervisor.on('supervisor:stopping', () => states.push(supervisor.state));
    supervisor.on('supervisor:stopped', ({ report }) => states.push(`${supervisor.state} ${report.finished}`));
    const running = holds.with({ supervisor })(gate.port, 'running');
    const waiting = holds.with({ supervisor })(gate.port, 'waiting');
    const delayed = holds.with({ supervisor, delayMs: dayMs })(gate.port, 'delayed');
    await gate.arrived(1);
    const report = supervisor.stop();
    expect(supervisor.state).toBe('stopping');
    expect(delayed.info).toMatchObject({ status: 'canceled', endReason: 'shutdown' });
    expect(await failure(delayed)).toMatchObject({ code: 'TASK_CANCELED' });
    gate.open();
    expect(await report).toEqual({ finished: 2, canceled: 1, terminated: 0 });
    expect([running.result, waiting.result]).toEqual(['running', 'waiting']);
    expect(states).toEqual(['stopping', 'stopped 2']);
    expect(supervisor.state).toBe('stopped');
    expect(supervisor.getInfo().threads.size).toBe(0);
  });

  it('with wait: false cancels what waits, and ends the threads of what runs', async () => {
    const supervisor = superviseNarrow();
    const running = spinsOn.with({ supervisor })();
    const waiting = add.with({ supervisor })(1, 1);
    await begun(running);
    expect(await supervisor.stop({ wait: false })).toEqual({ finished: 0, canceled: 1, terminated: 1 });
    for (const handle of [running, waiting]) {
      expect(handle.info).toMatchObject({ status: 'canceled', endReason: 'shutdown' });
      expect(await failure(handle)).toMatchObject({ code: 'TASK_CANCELED', taskId: handle.id });
    }
  });

  it('with wait: false never begins a task whose thread is still starting', async () => {
    const supervisor = superviseNarrow();
    await using gate = await Gate.create();
    const handle = holds.with({ supervisor })(gate.port, 'never');
    const report = await supervisor.stop({ wait: false });
    expect(report.finished).toBe(0);
    expect(await failure(handle)).toMatchObject({ code: 'TASK_CANCELED' });
    expect(handle.info).toMatchObject({ endReason: 'shutdown' });
    expect(gate.arrivals).toEqual([]);
  });

  it('with wait: false does not run a task again that had run out of time', async () => {
    const supervisor = superviseNarrow();
    const options = { supervisor, timeoutMs: 20, stopGraceMs: dayMs, retries: 5, retryDelayMs: 0 };
    const seen = new Int32Array(new SharedArrayBuffer(4));
    const handle = supervisor.putTask(
      async function notices(words: Int32Array) {
        const { currentTask } = await import('taskwarden');
        const task = currentTask();
        while (!task.stopped);
        Atomics.add(words, 0, 1);
        task.progress(0);
        for (;;);
      },
      { ...options, args: [seen] },
    );
    await begun(handle);
    await supervisor.stop({ wait: false });
    expect(handle.done).toBe(true);
    expect(Atomics.load(seen, 0)).toBe(1);
    expect(handle.info.attempt).toBe(1);
  });

  it('with a number waits for so long, then asks and ends what is left', async () => {
    const supervisor = superviseNarrow();
    const stubborn = spinsOn.with({ supervisor, stopGraceMs: dayMs })();
    await begun(stubborn);
    const polite = yields.with({ supervisor, priority: 'critical', stopGraceMs: dayMs })();
    await begun(polite);
    const waiting = add.with({ supervisor })(1, 1);
    expect(await supervisor.stop({ wait: 3_000 })).toEqual({ finished: 0, canceled: 2, terminated: 1 });
    for (const handle of [stubborn, polite, waiting]) expect(handle.info.endReason).toBe('shutdown');
  });

  it('with a number waits no longer than it must', async () => {
    const supervisor = superviseNarrow();
    const words = new Int32Array(new SharedArrayBuffer(4));
    const handle = spinsUntil.with({ supervisor })(words);
    await begun(handle);
    const report = supervisor.stop({ wait: dayMs });
    Atomics.store(words, 0, 1);
    Atomics.notify(words, 0);
    expect(await report).toEqual({ finished: 1, canceled: 0, terminated: 0 });
  });

  it('with cancelTasks cancels what waits, and asks what runs to stop', async () => {
    const supervisor = superviseNarrow();
    const running = yields.with({ supervisor, stopGraceMs: dayMs })();
    const waiting = add.with({ supervisor })(1, 1);
    await begun(running);
    expect(await supervisor.stop({ cancelTasks: true })).toEqual({ finished: 0, canceled: 2, terminated: 0 });
    expect(running.info.endReason).toBe('shutdown');
    expect(waiting.info.endReason).toBe('shutdown');
  });

  it('may be called again with a shorter wait, and all calls give the same report', async () => {
    const supervisor = superviseNarrow();
    const handle = spinsOn.with({ supervisor })();
    await begun(handle);
    const patient = supervisor.stop();
    const hasty = supervisor.stop({ wait: false });
    const report: StopReport = { finished: 0, canceled: 0, terminated: 1 };
    expect(await Promise.all([patient, hasty])).toEqual([report, report]);
    expect(await supervisor.stop()).toEqual(report);
  });

  it('of an idle supervisor is at once, with nothing to report', async () => {
    const supervisor = new TaskSupervisor();
    expect(await supervisor.stop()).toEqual({ finished: 0, canceled: 0, terminated: 0 });
    expect(supervisor.state).toBe('stopped');
    expect(() => supervisor.start()).toThrow(expect.objectContaining({ code: 'SUPERVISOR_STOPPED' }));
  });

  it('leaves a supervisor that takes no task, by a rejected handle', async () => {
    const supervisor = superviseNarrow();
    await using gate = await Gate.create();
    const running = holds.with({ supervisor })(gate.port, 'running');
    await gate.arrived(1);
    const stopped = supervisor.stop();
    const whileStopping = add.with({ supervisor })(1, 1);
    expect(await failure(whileStopping)).toMatchObject({ code: 'SUPERVISOR_STOPPED', taskId: whileStopping.id });
    gate.open();
    await stopped;
    expect(await running).toBe('running');
    const after = add.with({ supervisor })(1, 1);
    expect(after.status).toBe('failed');
    expect(await failure(after)).toMatchObject({ code: 'SUPERVISOR_STOPPED' });
    await supervisor.capacity();
    await supervisor.stop();
  });

  it('does not count a task that is refused meanwhile', async () => {
    const supervisor = superviseNarrow();
    await using gate = await Gate.create();
    const running = holds.with({ supervisor })(gate.port, 'running');
    await gate.arrived(1);
    const stopped = supervisor.stop();
    await failure(add.with({ supervisor })(1, 1));
    gate.open();
    expect(await stopped).toEqual({ finished: 1, canceled: 0, terminated: 0 });
    await running;
  });

  it('finishes a task that is between two attempts', async () => {
    const supervisor = superviseNarrow();
    const handle = supervisor.putTask(
      async function secondTry() {
        const { currentTask } = await import('taskwarden');
        if (currentTask().attempt === 1) throw new Error('first');
        return 'second';
      },
      { retries: 1, retryDelayMs: 20 },
    );
    await heard(supervisor, 'task:retried');
    expect(await supervisor.stop()).toEqual({ finished: 1, canceled: 0, terminated: 0 });
    expect(await handle).toBe('second');
  });

  it('happens at the end of the block with await using', async () => {
    let outer: TaskSupervisor;
    let handle: Promise<number>;
    {
      await using supervisor = superviseNarrow();
      outer = supervisor;
      handle = add.with({ supervisor })(1, 2);
    }
    expect(outer.state).toBe('stopped');
    expect(await handle).toBe(3);
  });

  it('leaves no thread, port or timer behind', async () => {
    const { code, lines, stderr } = await runProgram('stops.mjs');
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(lines).toHaveLength(2);
    expect(lines[1]).toBe(lines[0]);
  });
});

describe('block', () => {
  it('resolves with the report when the supervisor is stopped from anywhere', async () => {
    const supervisor = superviseNarrow();
    const listeners = process.listenerCount('SIGUSR2');
    const blocked = supervisor.block({ signals: ['SIGUSR2'] });
    expect(supervisor.state).toBe('running');
    expect(process.listenerCount('SIGUSR2')).toBe(listeners + 1);
    await add.with({ supervisor })(1, 1);
    const report = await supervisor.stop();
    expect(await blocked).toBe(report);
    expect(process.listenerCount('SIGUSR2')).toBe(listeners);
    expect(await supervisor.block()).toBe(report);
  });

  it.each(['SIGTERM', 'SIGINT'] as const)('stops gracefully at the first %s', async (signal) => {
    const program = new Program('blocks.mjs', { args: ['finishes'] });
    await program.printed('running');
    program.kill(signal);
    expect(await program.ended).toEqual({
      code: 0,
      signal: null,
      lines: ['running', 'stopping', 'finished', '{"finished":1,"canceled":0,"terminated":0}', '0 0'],
      stderr: '',
    });
  });

  it('stops at once at a second signal, even another one', async () => {
    const program = new Program('blocks.mjs', { args: ['stubborn'] });
    await program.printed('running');
    program.kill('SIGINT');
    await program.printed('stopping');
    program.kill('SIGTERM');
    const { code, signal, lines } = await program.ended;
    expect({ code, signal }).toEqual({ code: 0, signal: null });
    expect(new Set(lines)).toEqual(
      new Set(['running', 'stopping', 'TASK_CANCELED shutdown', '{"finished":0,"canceled":0,"terminated":1}', '0 0']),
    );
  });

  it('keeps a process alive that has nothing to do', async () => {
    const program = new Program('blocks.mjs', { args: ['nothing'] });
    await program.printed('running');
    program.kill('SIGTERM');
    expect(await program.ended).toEqual({
      code: 0,
      signal: null,
      lines: ['running', 'stopping', '{"finished":0,"canceled":0,"terminated":0}', '0 0'],
      stderr: '',
    });
  });
});

describe('an idle supervisor', () => {
  it('does not keep the process alive after its tasks', async () => {
    expect(await runProgram('awaits-and-ends.mjs')).toEqual({
      code: 0,
      signal: null,
      lines: ['3', 'running'],
      stderr: '',
    });
  });

  it('does not keep the process alive by its threads', async () => {
    expect(await runProgram('started-only.mjs')).toEqual({ code: 0, signal: null, lines: ['2'], stderr: '' });
  });
});

describe('tasks that wait for too long', () => {
  it('are reported by event and log, once at each level', async () => {
    const lines: string[] = [];
    const logger = {
      warn: (line: string) => void lines.push(`warn ${line}`),
      error: (line: string) => void lines.push(`error ${line}`),
    };
    await using supervisor = new TaskSupervisor({
      name: 'slow one',
      logger,
      threads: narrow,
      timeoutWarningMs: 30,
      timeoutCriticalMs: 90,
    });
    await using gate = await Gate.create();
    const running = holds.with({ supervisor })(gate.port, 'running');
    await gate.arrived(1);
    const reported: [string, string, string, boolean][] = [];
    const waiting = ['a', 'b'].map((label) => holds.with({ supervisor, priority: 'low' })(gate.port, label));
    const criticals = waiting.map(({ id }) => heard(supervisor, 'task:timeout-critical', ({ task }) => task.id === id));
    supervisor.on('task:timeout-warning', ({ task, waitMs }) => {
      reported.push(['warning', task.id, task.status, waitMs >= 30]);
    });
    supervisor.on('task:timeout-critical', ({ task, waitMs }) => {
      reported.push(['critical', task.id, task.status, waitMs >= 90]);
    });
    await Promise.all(criticals);
    // The lines come apart from the events, and only while nothing starts.
    for (const level of ['warn', 'error']) {
      await expect.poll(() => lines.some((line) => line.startsWith(level) && line.includes('waited'))).toBe(true);
    }
    gate.open();
    await Promise.all([running, ...waiting]);
    const [a, b] = waiting.map(({ id }) => id) as [string, string];
    expect(reported).toEqual([
      ['warning', a, 'queued', true],
      ['warning', b, 'queued', true],
      ['critical', a, 'queued', true],
      ['critical', b, 'queued', true],
    ]);
    for (const level of ['warn', 'error']) {
      const [first] = lines.filter((line) => line.startsWith(level) && line.includes('waited'));
      expect(first).toContain('slow one');
      expect(first).toContain('"holds"');
      expect(first).toContain(a);
    }
  });
});

describe('tasks that map() submits', () => {
  it('wait for as long as they do, and no line is said of it', async () => {
    const lines: string[] = [];
    let onReported = () => {};
    const logger = {
      warn() {},
      error(line: string) {
        lines.push(line);
        onReported();
      },
    };
    await using supervisor = new TaskSupervisor({ logger, threads: narrow, timeoutCriticalMs: 20 });
    await using gate = await Gate.create();
    const first = holds.with({ supervisor })(gate.port, 'first');
    await gate.arrived(1);
    const late = heard(supervisor, 'task:timeout-critical');
    const inputs = ['a', 'b', 'c'].map((label): [number, string] => [gate.port, label]);
    const mapped: string[] = [];
    const mapping = (async () => {
      for await (const label of holds.with({ supervisor }).map(inputs, { ordered: true })) mapped.push(label);
    })();
    await late;
    const line = new Promise<void>((resolve) => {
      onReported = resolve;
    });
    const ordinary = holds.with({ supervisor })(gate.port, 'ordinary');
    await line;
    expect(lines).toHaveLength(1);
    expect(lines[0]).toContain(
      `1 task has waited for more than 20 ms; the first is normal task "holds" (${ordinary.id})`,
    );
    gate.open();
    await Promise.all([first, ordinary, mapping]);
    expect(mapped).toEqual(['a', 'b', 'c']);
  });
});

describe('loggers', () => {
  it('are called as methods, with one string', async () => {
    class Log {
      readonly #lines: unknown[][] = [];
      warn(...args: unknown[]): void {
        this.#lines.push(args);
      }
      error(...args: unknown[]): void {
        this.#lines.push(args);
      }
      get lines(): unknown[][] {
        return this.#lines;
      }
    }
    const logger = new Log();
    const supervisor = new TaskSupervisor({ logger, threads: narrow });
    supervisor.on('supervisor:started', () => {
      throw new Error('a bad listener');
    });
    supervisor.start();
    void add.with({ supervisor, delayMs: dayMs })(1, 1);
    await supervisor.stop();
    expect(logger.lines.map((args) => args.map((arg) => typeof arg))).toEqual([['string'], ['string']]);
  });
});

describe('events', () => {
  it('reach every listener, also where one throws or rejects, and that is logged', async () => {
    const lines: string[] = [];
    const logger = { warn() {}, error: (line: string) => void lines.push(line) };
    await using supervisor = new TaskSupervisor({ logger });
    const heardBy: string[] = [];
    supervisor.on('task:completed', () => {
      throw new Error('a bad listener');
    });
    supervisor.on('task:completed', async () => {
      throw new Error('a late listener');
    });
    supervisor.on('task:completed', () => heardBy.push('the last'));
    expect(await add.with({ supervisor })(1, 1)).toBe(2);
    await supervisor.stop();
    expect(heardBy).toEqual(['the last']);
    expect(lines).toHaveLength(2);
    expect(lines[0]).toMatch(/task:completed.*a bad listener/);
    expect(lines[1]).toMatch(/task:completed.*a late listener/);
  });

  it('are heard by on, once, and no more after off', async () => {
    await using supervisor = new TaskSupervisor();
    const calls: string[] = [];
    const on = () => calls.push('on');
    const off = () => calls.push('off');
    supervisor
      .on('task:completed', on)
      .once('task:completed', () => calls.push('once'))
      .on('task:completed', off)
      .off('task:completed', off);
    await add.with({ supervisor, type: 'loop' })(1, 1);
    await add.with({ supervisor, type: 'loop' })(1, 1);
    expect(calls).toEqual(['on', 'once', 'on']);
  });

  it('may cancel the task of their event', async () => {
    await using supervisor = new TaskSupervisor({ logger: false });
    for (const event of ['task:queued', 'task:started'] as const) {
      const handle = yields.with({ supervisor, type: 'loop', delayMs: 1 })();
      supervisor.once(event, () => handle.cancel(event));
      expect(await failure(handle)).toMatchObject({ code: 'TASK_CANCELED', cause: event });
    }
    expect(supervisor.getInfo()).toMatchObject({ pending: 0, loop: { running: 0 } });
  });

  it('may submit and stop from within a listener', async () => {
    const supervisor = new TaskSupervisor({ logger: false });
    const reports: Promise<StopReport>[] = [];
    const more: Promise<number>[] = [];
    supervisor.once('task:completed', () => {
      more.push(add.with({ supervisor })(2, 2));
      reports.push(supervisor.stop());
    });
    await add.with({ supervisor })(1, 1);
    expect(await Promise.all(more)).toEqual([4]);
    expect(await reports[0]).toMatchObject({ canceled: 0, terminated: 0 });
  });
});

describe('what a supervisor says', () => {
  it('of its tasks, filtered by status, type, priority and name', async () => {
    await using supervisor = superviseNarrow();
    await using gate = await Gate.create();
    const ended = add.with({ supervisor, type: 'loop' })(1, 1);
    await ended;
    const running = holds.with({ supervisor, priority: 'high' })(gate.port, 'running');
    await gate.arrived(1);
    const queued = holds.with({ supervisor, name: 'other' })(gate.port, 'queued');
    const delayed = add.with({ supervisor, delayMs: dayMs })(1, 1);
    const ids = (filter: Parameters<TaskSupervisor['getTasks']>[0]) => supervisor.getTasks(filter).map(({ id }) => id);
    expect(ids({})).toEqual([running.id, queued.id, delayed.id, ended.id]);
    expect(ids({ status: 'started' })).toEqual([running.id]);
    expect(ids({ status: 'queued' })).toEqual([queued.id]);
    expect(ids({ status: 'delayed' })).toEqual([delayed.id]);
    expect(ids({ status: 'completed' })).toEqual([ended.id]);
    expect(ids({ type: 'loop' })).toEqual([ended.id]);
    expect(ids({ priority: 'high' })).toEqual([running.id]);
    expect(ids({ name: 'other' })).toEqual([queued.id]);
    expect(ids({ name: 'add', type: 'thread' })).toEqual([delayed.id]);
    expect(() => supervisor.getTasks({ state: 'queued' } as object)).toThrow(/state/);
    delayed.cancel();
    gate.open();
    await Promise.allSettled([running, queued, delayed]);
  });

  it('of itself, in numbers', async () => {
    await using supervisor = superviseNarrow();
    await using gate = await Gate.create();
    await add.with({ supervisor })(1, 1);
    const failed = supervisor.putTask(() => Promise.reject(new Error('no')), { name: 'fails' });
    await failure(failed);
    const running = holds.with({ supervisor })(gate.port, 'running');
    await gate.arrived(1);
    const waiting = add.with({ supervisor, priority: 'low' })(1, 1);
    const delayed = add.with({ supervisor, delayMs: dayMs })(1, 1);
    expect(supervisor.getInfo()).toMatchObject({
      id: supervisor.id,
      name: 'taskwarden',
      state: 'running',
      submitted: 5,
      retried: 0,
      pending: 3,
      delayed: 1,
      ended: { completed: 1, failed: 1, canceled: 0, timeout: 0, expired: 0, crashed: 0, shutdown: 0 },
      threads: { poolSize: 1, running: 1, size: 1, idle: 0, waiting: { critical: 0, high: 0, normal: 0, low: 1 } },
      loop: { poolSize: 0, running: 0 },
    });
    delayed.cancel();
    gate.open();
    await Promise.allSettled([running, waiting, delayed]);
    expect(supervisor.getInfo()).toMatchObject({ pending: 0, delayed: 0, ended: { completed: 3, canceled: 1 } });
  });

  it('of many tasks at once: their results in order, or the first failure', async () => {
    await using supervisor = new TaskSupervisor({ logger: false });
    const sums = [add.with({ supervisor })(1, 1), add.with({ supervisor, type: 'loop' })(2, 2)] as const;
    expect(await supervisor.waitCompleted(sums)).toEqual([2, 4]);
    expect(await supervisor.waitCompleted([])).toEqual([]);
    const fails = supervisor.putTask(() => Promise.reject(new Error('no')), { name: 'fails' });
    expect(await failure(supervisor.waitCompleted([...sums, fails]))).toEqual(new Error('no'));
  });
});

describe('putTask', () => {
  it('takes a background task, or a function alone, with arguments and options', async () => {
    await using supervisor = new TaskSupervisor();
    const known = supervisor.putTask(add, { args: [1, 2], priority: 'high', taskId: 'sum' });
    expect(known).toMatchObject({ id: 'sum', priority: 'high', name: 'add', type: 'thread' });
    expect(await known).toBe(3);
    expect(await supervisor.putTask(async (text: string) => text.length, { args: ['four'], name: 'length' })).toBe(4);
    let count = 0;
    await supervisor.putTask(
      () => {
        count += 1;
      },
      { type: 'loop', name: 'counts' },
    );
    expect(count).toBe(1);
    expect(supervisor.getInfo().submitted).toBe(3);
  });

  it('refuses what is no function, and bad options, at the call', async () => {
    await using supervisor = new TaskSupervisor();
    expect(() => supervisor.putTask('add' as never, {} as never)).toThrow(TypeError);
    expect(() => supervisor.putTask(add, { args: 3 as never })).toThrow(/args/);
    expect(() => supervisor.putTask(add, { args: [1, 2], priorty: 'high' } as never)).toThrow(/priorty/);
    expect(supervisor.state).toBe('idle');
  });

  it('gives refusals as rejected handles', async () => {
    const supervisor = new TaskSupervisor({ logger: false });
    await supervisor.stop();
    const handle = supervisor.putTask(add, { args: [1, 2] });
    expect(((await failure(handle)) as TaskwardenError).code).toBe('SUPERVISOR_STOPPED');
  });
});
