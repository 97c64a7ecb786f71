/** What holds for tasks that await, and share a thread or child: `concurrentTasks`. */
import {
  backgroundTask,
  type SupervisorOptions,
  type TaskHandle,
  TaskSupervisor,
  type ThreadOptions,
} from 'taskwarden';
import { describe, expect, it } from 'vitest';
import { begun, failure, heard, interceptStderr } from '../fixtures/listening.ts';
import { SharedSupervisors } from '../fixtures/shared-supervisors.ts';
import { Diary } from '../fixtures/tasks/diary.ts';
import { add, echo } from '../fixtures/tasks/echo.ts';
import { exits, throwsUncaught } from '../fixtures/tasks/exits.ts';
import { cleansUp, Gate, holds, yields } from '../fixtures/tasks/holds.ts';
import { staysItself } from '../fixtures/tasks/sees-itself.ts';
import { seesSetup } from '../fixtures/tasks/sets-up.ts';
import { spins, spinsOn } from '../fixtures/tasks/spins.ts';
import { answers } from '../fixtures/tasks/talks.ts';
import { grows, type Tree } from '../fixtures/tasks/trees.ts';
import type { LaneUnderTest } from './lane.ts';

/** Tells in which thread or process it runs. */
const host = backgroundTask(
  async () => {
    const { threadId } = await import('node:worker_threads');
    return threadId === 0 ? process.pid : threadId;
  },
  { name: 'host' },
);

export function testSharing({ type, pool }: LaneUnderTest & { readonly pool: 'threads' | 'processes' }): void {
  const hostStarted = type === 'thread' ? 'thread:started' : 'child:started';

  const shared = new SharedSupervisors();

  const optionsOf = (concurrentTasks: number, hosts: ThreadOptions = {}): SupervisorOptions => {
    const defaults = { poolSize: 1, reserveNormal: 0, reserveHigh: 0, idleTimeoutMs: Infinity };
    return { [pool]: { ...defaults, concurrentTasks, ...hosts }, logger: false };
  };

  /** Hosts for so many tasks each: slots for one host, or `poolSize` hosts. */
  function supervise(concurrentTasks: number, hosts: ThreadOptions = {}): TaskSupervisor {
    return new TaskSupervisor(optionsOf(concurrentTasks, hosts));
  }

  /** One host for so many tasks, which may have run those of other tests. */
  function superviseShared(concurrentTasks: number): TaskSupervisor {
    return shared.take(optionsOf(concurrentTasks));
  }

  const hostOf = ({ info }: TaskHandle<unknown>) => (type === 'thread' ? info.threadId : info.pid);

  function hold(supervisor: TaskSupervisor, gate: Gate, count: number): TaskHandle<string>[] {
    return Array.from({ length: count }, (_, n) => holds.with({ supervisor, type })(gate.port, `${n}`));
  }

  function onStarted(supervisor: TaskSupervisor, started: (id: number) => void): void {
    supervisor.on('thread:started', ({ threadId }) => started(threadId));
    supervisor.on('child:started', ({ pid }) => started(pid));
  }

  /** The ids of the hosts that have exited, and a wait for so many. */
  function exitsOf(supervisor: TaskSupervisor) {
    const exited: number[] = [];
    let woken = () => {};
    const note = (id: number) => {
      exited.push(id);
      woken();
    };
    supervisor.on('thread:exited', ({ threadId }) => note(threadId));
    supervisor.on('child:exited', ({ pid }) => note(pid));
    return {
      exited,
      async until(count: number): Promise<void> {
        while (exited.length < count) {
          await new Promise<void>((resolve) => {
            woken = resolve;
          });
        }
      },
    };
  }

  describe(`tasks that share a host of the ${type} lane`, () => {
    it('run at the same time, in as few threads as have room for them, and each has a slot', async () => {
      await using supervisor = supervise(4, { poolSize: 2 });
      await using gate = await Gate.create();
      const started: number[] = [];
      onStarted(supervisor, (id) => started.push(id));
      const handles = hold(supervisor, gate, 9);
      await gate.arrived(8);
      expect(supervisor.getInfo()[pool]).toMatchObject({ running: 8, size: 2, idle: 0, waiting: { normal: 1 } });
      expect(handles[8]?.info.status).toBe('queued');
      gate.open();
      expect(await Promise.all(handles)).toEqual(['0', '1', '2', '3', '4', '5', '6', '7', '8']);
      expect(new Set(handles.map(hostOf))).toEqual(new Set(started));
      expect(started).toHaveLength(2);
      expect(supervisor.getInfo()[pool]).toMatchObject({ running: 0, size: 2, idle: 2 });
    });

    it('are spread over the threads that there are', async () => {
      await using supervisor = supervise(3, { poolSize: 2, minSize: 2 });
      await supervisor.ready();
      await using gate = await Gate.create();
      const handles = hold(supervisor, gate, 4);
      await gate.arrived(4);
      const counts = new Map<number | undefined, number>();
      for (const handle of handles) counts.set(hostOf(handle), (counts.get(hostOf(handle)) ?? 0) + 1);
      expect([...counts.values()]).toEqual([2, 2]);
      gate.pass('0');
      await handles[0];
      expect(supervisor.getInfo()[pool]).toMatchObject({ size: 2, idle: 0 });
      gate.open();
      await Promise.all(handles);
    });

    it('start in their order, and come before lower ones', async () => {
      await using supervisor = superviseShared(2);
      await using gate = await Gate.create();
      const first = hold(supervisor, gate, 2);
      await gate.arrived(2);
      const order: unknown[] = [];
      supervisor.on('task:started', ({ task }) => order.push(task.priority));
      const rest = (['low', 'normal', 'high'] as const).map((priority) =>
        echo.with({ supervisor, type, priority })(priority),
      );
      gate.pass('0');
      await Promise.all(rest);
      expect(order).toEqual(['high', 'normal', 'low']);
      gate.open();
      await Promise.all(first);
    });

    it('see themselves, each, also after they have awaited', async () => {
      await using supervisor = superviseShared(3);
      await using gate = await Gate.create();
      const handles = ['a', 'b', 'c'].map((label) => staysItself.with({ supervisor, type })(gate.port, label));
      await gate.arrived(3);
      for (const label of ['c', 'a', 'b']) gate.pass(label);
      const seen = await Promise.all(handles);
      expect(new Set(handles.map(hostOf)).size).toBe(1);
      for (const [index, { before, after }] of seen.entries()) {
        expect(before).toMatchObject({ id: handles[index]?.id, args: [gate.port, 'abc'[index]] });
        expect(after).toEqual(before);
      }
    });

    it('get their own messages, and send theirs', async () => {
      await using supervisor = superviseShared(3);
      const handles = [0, 1, 2].map(() => answers.with({ supervisor, type })());
      const heardBy = async (handle: TaskHandle<string>) => {
        const received: unknown[] = [];
        for await (const data of handle.messages()) received.push(data);
        return received;
      };
      const received = handles.map(heardBy);
      for (let n = 0; n < 20; n += 1) for (const [index, handle] of handles.entries()) handle.send(`${index}:${n}`);
      for (const handle of handles) handle.send(null);
      await Promise.all(handles);
      expect(new Set(handles.map(hostOf)).size).toBe(1);
      for (const [index, own] of (await Promise.all(received)).entries()) {
        expect(own).toEqual(Array.from({ length: 20 }, (_, n) => `${index}:${n}`));
      }
    });

    it('may call others that run beside them', async () => {
      await using supervisor = superviseShared(2);
      const leaf: Tree = { children: [], waits: 'never', fails: false, cancels: false };
      const parent: Tree = { ...leaf, children: [leaf, leaf, leaf], waits: 'in turn' };
      expect(await grows.with({ supervisor, type })(parent)).toBe(4);
      expect(supervisor.getInfo()[pool].size).toBe(1);
    });

    it('by thousands give what they would alone', async () => {
      await using supervisor = supervise(8, { poolSize: 2 });
      const numbers = Array.from({ length: 2_000 }, (_, n) => n);
      expect(await Promise.all(numbers.map((n) => add.with({ supervisor, type })(n, 1)))).toEqual(
        numbers.map((n) => n + 1),
      );
      // Results may be seen before the messages that the batches are over.
      const free = { running: 0, size: 2, idle: 2 };
      await expect.poll(() => supervisor.getInfo()[pool], { timeout: 20_000 }).toMatchObject(free);
    });
  });

  describe(`the end of one that shares a host of the ${type} lane`, () => {
    it('that yields to cancel or a time-out leaves the others alone', async () => {
      await using supervisor = superviseShared(3);
      await using gate = await Gate.create();
      const [held] = hold(supervisor, gate, 1);
      const canceled = yields.with({ supervisor, type })();
      const late = yields.with({ supervisor, type, timeoutMs: 200 })();
      await Promise.all([gate.arrived(1), begun(canceled), begun(late)]);
      canceled.cancel('enough');
      expect(await failure(canceled)).toMatchObject({ code: 'TASK_CANCELED', cause: 'enough' });
      expect(await failure(late)).toMatchObject({ code: 'TASK_TIMEOUT' });
      gate.open();
      expect(await held).toBe('0');
      expect(new Set([held, canceled, late].map((handle) => hostOf(handle as TaskHandle<unknown>))).size).toBe(1);
      expect(supervisor.getInfo()[pool]).toMatchObject({ size: 1, idle: 1 });
    });

    it('is asked for of that one only', async () => {
      await using supervisor = superviseShared(2);
      await using gate = await Gate.create();
      const [asked, other] = ['asked', 'other'].map((label) => cleansUp.with({ supervisor, type })(gate.port, label));
      await Promise.all([begun(asked as TaskHandle<unknown>), begun(other as TaskHandle<unknown>)]);
      asked?.stop();
      await gate.arrived(1);
      expect(gate.arrivals).toEqual(['asked']);
      gate.open();
      expect(await asked).toBe(true);
      expect(other?.info.status).toBe('started');
      other?.stop();
      expect(await other).toBe(true);
    });

    it('is seen by a busy loop, which the others outlive', async () => {
      await using supervisor = supervise(2);
      await using gate = await Gate.create();
      const [held] = hold(supervisor, gate, 1);
      await gate.arrived(1);
      const busy = spins.with({ supervisor, type })();
      await begun(busy);
      busy.stop();
      await busy;
      gate.open();
      expect(await held).toBe('0');
      expect(hostOf(busy)).toBe(hostOf(held as TaskHandle<unknown>));
    });

    it('by force ends all, and says so', async () => {
      await using supervisor = supervise(3);
      await using gate = await Gate.create();
      const [held] = hold(supervisor, gate, 1);
      const again = holds.with({ supervisor, type, crashRetries: 1 })(gate.port, 'again');
      await gate.arrived(2);
      const deaf = spinsOn.with({ supervisor, type, stopGraceMs: 10 })();
      await begun(deaf);
      deaf.cancel('enough');
      expect(await failure(deaf)).toMatchObject({ code: 'TASK_CANCELED', cause: 'enough' });
      expect(await failure(held as TaskHandle<unknown>)).toMatchObject({
        code: 'TASK_CRASHED',
        message: `the ${type === 'thread' ? 'thread' : 'child'} of task "holds" died under it: task "spinsOn", which shared it, did not end when it had to`,
      });
      gate.open();
      expect(await again).toBe('again');
      expect(again.info.attempt).toBe(2);
      expect(supervisor.getInfo()[pool]).toMatchObject({ running: 0, size: 1, idle: 1 });
    });

    it.each([
      ['exits', exits, 6, { exitCode: 6 }],
      ['throws where nobody catches it', throwsUncaught, 'late', { cause: { code: 'LATE' } }],
    ] as const)('that %s ends all: each has crashed, or is tried again', async (_, target, word, how) => {
      await using supervisor = supervise(4);
      await using gate = await Gate.create();
      const held = hold(supervisor, gate, 2);
      const again = holds.with({ supervisor, type, crashRetries: 1 })(gate.port, 'again');
      await gate.arrived(3);
      const { exited } = exitsOf(supervisor);
      const prints = type === 'process' ? interceptStderr() : undefined;
      const fatal = target.with({ supervisor, type })(word as never);
      for (const handle of [fatal, ...held]) {
        expect(await failure(handle as TaskHandle<unknown>)).toMatchObject({ code: 'TASK_CRASHED', ...how });
      }
      gate.open();
      expect(await again).toBe('again');
      expect(exited).toEqual([hostOf(fatal as TaskHandle<unknown>)]);
      expect(await echo.with({ supervisor, type })('goes on')).toBe('goes on');
      if (target === throwsUncaught) await prints?.('late');
      expect(supervisor.getInfo()[pool]).toMatchObject({ running: 0, size: 1, idle: 1 });
    });
  });

  describe(`a host of the ${type} lane that tasks share`, () => {
    it('is set up once, and torn down once, when all are over', async () => {
      using diary = new Diary();
      await using supervisor = supervise(3);
      await using gate = await Gate.create();
      const seen = [1, 2, 3].map(() => seesSetup.with({ supervisor, type })());
      expect(await Promise.all(seen)).toEqual([true, true, true]);
      const [held] = hold(supervisor, gate, 1);
      await gate.arrived(1);
      const stopped = supervisor.stop();
      gate.open();
      expect(await held).toBe('0');
      await stopped;
      expect(diary.of()).toEqual(['loaded', 'setup begins', 'setup', 'teardown begins', 'teardown']);
    });

    it('retires when nothing has run in it for long enough, and not while something does', async () => {
      await using supervisor = supervise(2, { poolSize: 2, idleTimeoutMs: 20 });
      await using gate = await Gate.create();
      const exits = exitsOf(supervisor);
      const handles = hold(supervisor, gate, 4);
      await gate.arrived(4);
      const first = hostOf(handles[0] as TaskHandle<string>);
      const goes = handles.filter((handle) => hostOf(handle) === first);
      const stays = handles.filter((handle) => hostOf(handle) !== first);
      expect([goes.length, stays.length]).toEqual([2, 2]);
      for (const handle of [...goes, stays[0]]) gate.pass(`${handles.indexOf(handle as TaskHandle<string>)}`);
      await exits.until(1);
      expect(exits.exited).toEqual([first]);
      expect(supervisor.getInfo()[pool]).toMatchObject({ running: 1, size: 1, idle: 0 });
      gate.open();
      await exits.until(2);
      await Promise.all(handles);
      expect(supervisor.getInfo()[pool]).toMatchObject({ size: 0, idle: 0 });
    });

    it('is recycled when all of its tasks are over, and takes no other meanwhile', async () => {
      await using supervisor = supervise(2);
      await using gate = await Gate.create();
      const started: number[] = [];
      onStarted(supervisor, (id) => started.push(id));
      const { exited } = exitsOf(supervisor);
      const handles = hold(supervisor, gate, 2);
      await gate.arrived(2);
      const recycled = supervisor.recycle();
      while (started.length < 2) await heard(supervisor, hostStarted);
      gate.pass('0');
      await handles[0];
      let next: TaskHandle<unknown>;
      do {
        next = echo.with({ supervisor, type })('next');
        await next;
      } while (hostOf(next) !== started[1]); // until the new one has loaded what the old one had
      const later = await Promise.all([1, 2].map(() => host.with({ supervisor, type })()));
      expect(new Set(later)).toEqual(new Set([started[1]]));
      expect(exited).toEqual([]);
      gate.open();
      await recycled;
      expect(await handles[1]).toBe('1');
      expect(exited).toEqual([started[0]]);
      expect(supervisor.getInfo()[pool]).toMatchObject({ size: 1, idle: 1 });
    });

    it('is recycled after as many tasks as run in it in all', async () => {
      await using supervisor = supervise(2, { recycle: { afterTasks: 4 } });
      const exits = exitsOf(supervisor);
      const handles = Array.from({ length: 4 }, (_, n) => echo.with({ supervisor, type })(n));
      await Promise.all(handles);
      await exits.until(1);
      expect(exits.exited).toEqual([hostOf(handles[0] as TaskHandle<unknown>)]);
    });

    it('loads what is preloaded once, and its successor what it has loaded', async () => {
      using diary = new Diary();
      await using supervisor = supervise(3, { minSize: 1, preload: [seesSetup] });
      await supervisor.ready();
      expect(await Promise.all([1, 2, 3].map(() => seesSetup.with({ supervisor, type })()))).toEqual([
        true,
        true,
        true,
      ]);
      await supervisor.recycle();
      expect(diary.of().filter((what) => what === 'loaded' || what === 'setup')).toEqual([
        'loaded',
        'setup',
        'loaded',
        'setup',
      ]);
    });

    it('is replaced when it is to be shared by more, or by fewer', async () => {
      await using supervisor = supervise(1, { poolSize: 4, maxSize: 1 });
      await using gate = await Gate.create();
      const { until } = exitsOf(supervisor);
      const [first] = hold(supervisor, gate, 1);
      await gate.arrived(1);
      expect(supervisor.getInfo()[pool]).toMatchObject({ running: 1, size: 1 });
      supervisor.configure({ [pool]: { concurrentTasks: 4 } });
      const four = hold(supervisor, gate, 3);
      await gate.arrived(4);
      gate.pass('0');
      await first;
      await until(1);
      expect(supervisor.getInfo()[pool]).toMatchObject({ size: 1 });
      expect(new Set(four.map(hostOf)).size).toBe(1);
      supervisor.configure({ [pool]: { concurrentTasks: 1 } });
      gate.open();
      await Promise.all(four);
      await until(2);
      expect(supervisor.getInfo()[pool]).toMatchObject({ size: 1 });
    });

    it('is too many when maxSize says so, also if something always runs in it', async () => {
      await using supervisor = supervise(2, { poolSize: 2, maxSize: 2 });
      await using gate = await Gate.create();
      const exits = exitsOf(supervisor);
      const handles = hold(supervisor, gate, 4);
      await gate.arrived(4);
      supervisor.configure({ [pool]: { maxSize: 1, poolSize: 1 } });
      gate.pass('0');
      await handles[0];
      const leaving = handles.filter((handle) => hostOf(handle) === hostOf(handles[0] as TaskHandle<string>));
      const beside = leaving[1] as TaskHandle<string>;
      gate.pass(`${handles.indexOf(beside)}`);
      await beside;
      await exits.until(1);
      expect(exits.exited).toEqual([hostOf(beside)]);
      expect(supervisor.getInfo()[pool]).toMatchObject({ running: 2, size: 1, idle: 0 });
      gate.open();
      await Promise.all(handles);
    });
  });
}
