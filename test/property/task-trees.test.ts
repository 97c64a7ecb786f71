/** The invariants of tasks that call tasks, on real threads: random trees, whose tasks fail and are canceled, on small pools. */
import fc from 'fast-check';
import { TaskSupervisor } from 'taskwarden';
import { expect, it } from 'vitest';
import { randomRuns } from '../fixtures/random-runs.ts';
import { Gate, holds } from '../fixtures/tasks/holds.ts';
import { grows, type Tree } from '../fixtures/tasks/trees.ts';

const { tree } = fc.letrec<{ tree: Tree }>((tie) => ({
  tree: fc.record({
    children: fc.oneof(
      { depthSize: 'small', withCrossShrink: true },
      fc.constant([]),
      fc.array(tie('tree'), { minLength: 1, maxLength: 3, depthIdentifier: 'tree' }),
    ),
    waits: fc.constantFrom('together', 'in turn', 'never'),
    fails: fc.oneof({ weight: 5, arbitrary: fc.constant(false) }, { weight: 1, arbitrary: fc.constant(true) }),
    cancels: fc.oneof({ weight: 5, arbitrary: fc.constant(false) }, { weight: 1, arbitrary: fc.constant(true) }),
  }),
}));

const forest = fc.record({
  trees: fc.array(tree, { minLength: 1, maxLength: 3 }),
  canceled: fc.array(fc.nat(), { maxLength: 2 }),
  poolSize: fc.integer({ min: 1, max: 2 }),
  reserveNormal: fc.integer({ min: 0, max: 1 }),
  concurrentTasks: fc.integer({ min: 1, max: 3 }),
});

it('settles every task of every tree once, and has all slots back in the end', async () => {
  await fc.assert(
    fc.asyncProperty(forest, async ({ trees, canceled, poolSize, reserveNormal, concurrentTasks }) => {
      await using supervisor = new TaskSupervisor({
        threads: { poolSize, reserveNormal, reserveHigh: 0, concurrentTasks },
        keepFinished: 0,
        logger: false,
      });
      const limit = (poolSize + reserveNormal) * concurrentTasks;
      const ends = new Map<string, number>();
      /** Tasks that have called others, and run. */
      const parents = new Set<string>();
      const problems: string[] = [];
      let drained = () => {};
      const look = () => {
        const { running } = supervisor.getInfo().threads;
        // Each parent can have been resumed above the limit, and nothing else can be.
        if (running > limit + parents.size) problems.push(`${running} run, and ${parents.size} parents`);
        if (running < 0) problems.push(`${running} run`);
        if (supervisor.getInfo().pending === 0) drained();
      };
      supervisor.on('task:queued', ({ task }) => {
        if (task.parentId !== undefined) parents.add(task.parentId);
        look();
      });
      supervisor.on('task:started', ({ task }) => {
        if (ends.has(task.id)) problems.push(`${task.id} starts after its end`);
        look();
      });
      for (const event of ['task:completed', 'task:failed', 'task:canceled'] as const) {
        supervisor.on(event, ({ task }) => {
          ends.set(task.id, (ends.get(task.id) ?? 0) + 1);
          look();
          parents.delete(task.id);
        });
      }
      const handles = trees.map((each) => grows.with({ supervisor })(each));
      const firstStart = new Promise((resolve) => supervisor.once('task:started', resolve));
      await firstStart;
      for (const which of canceled) handles[which % handles.length]?.cancel('chaos');
      await Promise.allSettled(handles);
      // Those that nobody awaited may still run.
      while (supervisor.getInfo().pending > 0) {
        await new Promise<void>((resolve) => {
          drained = resolve;
        });
        await new Promise((resolve) => setImmediate(resolve)); // the listener of the last end may be called before it is counted
      }
      expect(problems).toEqual([]);
      expect(ends.size).toBe(supervisor.getInfo().submitted);
      expect([...ends.values()].every((times) => times === 1)).toBe(true);
      // A thread may still be about to say that it never began what was canceled; then its slot is free, too.
      await using gate = await Gate.create();
      const fresh = Array.from({ length: limit + 1 }, (_, n) => holds.with({ supervisor })(gate.port, `fresh ${n}`));
      await gate.arrived(limit);
      expect(supervisor.getInfo().threads).toMatchObject({ running: limit, waiting: { normal: 1 } });
      gate.open();
      await Promise.all(fresh);
      await supervisor.stop();
      expect(supervisor.getInfo().threads).toMatchObject({ running: 0, size: 0 });
    }),
    { numRuns: randomRuns(25), interruptAfterTimeLimit: 60_000, markInterruptAsFailure: false },
  );
}, 90_000);
