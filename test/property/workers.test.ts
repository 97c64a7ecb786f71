/**
 * Queue workers under random puts, stops of all forms, starts, restarts, failures, cancels and crashes: no item is lost, and
 * each is run to its end once, and again only if its run was ended from outside.
 */
import fc from 'fast-check';
import { backgroundWorker, currentTask, MemoryTaskCourier, TaskSupervisor, type TaskwardenError } from 'taskwarden';
import { expect, it } from 'vitest';

const turn = () => new Promise((resolve) => setImmediate(resolve));

interface Item {
  readonly n: number;
  readonly turns: number;
  readonly fails: boolean;
}

const step = fc.oneof(
  fc.record({
    kind: fc.constant('put' as const),
    items: fc.array(fc.record({ turns: fc.nat(3), fails: fc.boolean() }), { minLength: 1, maxLength: 6 }),
  }),
  fc.record({ kind: fc.constant('start' as const) }),
  fc.record({
    kind: fc.constantFrom('stop' as const, 'restart' as const),
    wait: fc.constantFrom(true, false, 0, 1, 5),
    isAwaited: fc.boolean(),
  }),
  fc.record({ kind: fc.constant('cancel' as const), pick: fc.nat(1_000) }),
  fc.record({ kind: fc.constant('turns' as const), count: fc.nat(5) }),
);

it('loses no item, whatever starts and stops them, and runs none twice that was not interrupted', async () => {
  const settings = fc.record({
    concurrency: fc.integer({ min: 1, max: 3 }),
    batchSize: fc.option(fc.integer({ min: 1, max: 3 }), { nil: undefined }),
    maxQueued: fc.constantFrom(2, Number.POSITIVE_INFINITY),
    isOwn: fc.boolean(),
  });
  await fc.assert(
    fc.asyncProperty(settings, fc.array(step, { minLength: 1, maxLength: 25 }), async (settings, steps) => {
      const { concurrency, batchSize, maxQueued, isOwn } = settings;
      await using supervisor = new TaskSupervisor({ logger: false });
      const ended: number[] = [];
      const interrupted: number[] = [];
      const tooMany: unknown[] = [];
      let running = 0;
      const run = async (given: Item | Item[]) => {
        const items = Array.isArray(given) ? given : [given];
        const { signal } = currentTask();
        running += 1;
        if (running > concurrency || items.length > (batchSize ?? 1)) tooMany.push([running, items.length]);
        const note = () => {
          for (const { n } of items) interrupted[n] = (interrupted[n] ?? 0) + 1;
        };
        signal.addEventListener('abort', note);
        try {
          for (let turns = Math.max(...items.map((item) => item.turns)); turns > 0; turns -= 1) {
            await turn();
            signal.throwIfAborted();
          }
          for (const { n } of items) ended[n] = (ended[n] ?? 0) + 1;
          if (items.some(({ fails }) => fails)) throw new Error('as told');
          return items.map(({ n }) => n);
        } finally {
          running -= 1;
        }
      };
      const courier = isOwn ? undefined : new MemoryTaskCourier({ maxQueued });
      const worker = backgroundWorker(run as (item: never) => unknown, {
        name: 'tried',
        type: 'loop',
        supervisor,
        stopGraceMs: 60_000,
        onError: () => {},
        queue: {
          concurrency,
          ...(batchSize !== undefined && { batchSize }),
          ...(courier === undefined ? { maxQueued } : { courier }),
        },
      });
      const items: Item[] = [];
      const ids: Promise<string>[] = [];
      const known: string[] = [];
      const canceled = new Set<string>();
      const doings: Promise<unknown>[] = [];
      for (const each of steps) {
        if (each.kind === 'put') {
          for (const item of each.items) {
            const whole = { ...item, n: items.length };
            items.push(whole);
            const id = worker.put(whole as never);
            ids.push(id);
            void id.then((known_) => known.push(known_));
          }
        } else if (each.kind === 'start') {
          worker.start();
        } else if (each.kind === 'turns') {
          for (let n = 0; n < each.count; n += 1) await turn();
        } else if (each.kind === 'cancel') {
          const id = known[each.pick % Math.max(known.length, 1)];
          if (id !== undefined && (await worker.courier.cancelTask('tried', id))) canceled.add(id);
        } else {
          const doing = each.kind === 'stop' ? worker.stop({ wait: each.wait }) : worker.restart({ wait: each.wait });
          doings.push(doing);
          if (each.isAwaited) await doing;
        }
      }
      await Promise.all(doings);
      worker.start();
      const all = await Promise.all(ids);
      await Promise.all(all.map((id) => worker.courier.waitForTaskResult('tried', id).catch(() => {})));
      await worker.stop();
      for (const { n } of items) {
        if (canceled.has(all[n] as string)) continue;
        expect(await worker.courier.checkForDone('tried', all[n] as string)).toBe(true);
        const times = ended[n] ?? 0;
        expect({ n, isGood: times >= 1 && times <= 1 + (interrupted[n] ?? 0) }).toEqual({ n, isGood: true });
      }
      const { waiting, leased, delayed } = await worker.courier.getQueueInfo('tried');
      expect({ waiting, leased, delayed }).toEqual({
        waiting: { critical: 0, high: 0, normal: 0, low: 0 },
        leased: 0,
        delayed: 0,
      });
      expect(supervisor.getInfo().pending).toBe(0);
      expect(tooMany).toEqual([]);
      await worker.courier.close();
    }),
    { numRuns: 200 },
  );
});

it('a thread that dies fails the item that it ran, and no other', { timeout: 60_000 }, async () => {
  const kind = fc.constantFrom('ok', 'ok', 'ok', 'throws', 'exits');
  const atMostTwoExit = (kinds: string[]) => kinds.filter((each) => each === 'exits').length <= 2;
  const concurrency = fc.integer({ min: 1, max: 3 });
  const kinds = fc.array(kind, { minLength: 3, maxLength: 12 }).filter(atMostTwoExit);
  await fc.assert(
    fc.asyncProperty(kinds, concurrency, async (kinds, concurrency) => {
      await using supervisor = new TaskSupervisor({ logger: false, threads: { poolSize: 2 } });
      const begun = new Int32Array(new SharedArrayBuffer(4 * kinds.length));
      const worker = backgroundWorker(
        async ([n, kind]: [number, string], words: Int32Array) => {
          Atomics.add(words, n, 1);
          if (kind === 'exits') process.exit(3);
          if (kind === 'throws') throw new Error('as told');
          return n;
        },
        { name: 'dies', supervisor, queue: { concurrency }, onError: () => {} },
      );
      worker.start(begun);
      const ids = await Promise.all(kinds.map((each, n) => worker.put([n, each])));
      await worker.stop();
      const ends = await Promise.all(
        ids.map((id) =>
          worker.courier.getTaskResult('dies', id).catch((error: TaskwardenError) => error.code ?? error.message),
        ),
      );
      const expected = { ok: (n: number) => n, throws: () => 'as told', exits: () => 'TASK_CRASHED' };
      expect(ends).toEqual(kinds.map((each, n) => expected[each as keyof typeof expected](n)));
      expect([...begun]).toEqual(kinds.map(() => 1));
    }),
    { numRuns: 6 },
  );
});
