/** What TypeScript infers of background workers: of functions, and of classes. */
import {
  BackgroundEventWorker,
  BackgroundIntervalWorker,
  BackgroundQueueWorker,
  BackgroundWorker,
  backgroundWorker,
} from 'taskwarden';
import { describe, expectTypeOf, it } from 'vitest';

interface Row {
  readonly id: number;
}

describe('backgroundWorker()', () => {
  it('gives a worker that runs again and again, whose start takes what its runs get', () => {
    const worker = backgroundWorker(import.meta.url, async function sweep(path: string, depth: number) {
      return path.length + depth;
    });
    expectTypeOf(worker).toEqualTypeOf<BackgroundWorker<[path: string, depth: number]>>();
    expectTypeOf(worker.start).parameters.toEqualTypeOf<[path: string, depth: number]>();
    expectTypeOf(worker.stop).returns.toEqualTypeOf<Promise<boolean>>();
    // @ts-expect-error it takes a path
    worker.start(1, 2);
    // @ts-expect-error it has no trigger
    worker.trigger();
    // @ts-expect-error it has no queue
    worker.put('a');
  });

  it('gives an interval worker for intervalMs, delayMs and cron', () => {
    const run = async (path: string) => path;
    expectTypeOf(backgroundWorker(run, { name: 'a', intervalMs: 1 })).toEqualTypeOf<
      BackgroundIntervalWorker<[path: string]>
    >();
    expectTypeOf(backgroundWorker(run, { name: 'b', delayMs: 1 })).toEqualTypeOf<
      BackgroundIntervalWorker<[path: string]>
    >();
    const worker = backgroundWorker(import.meta.url, run, { name: 'c', cron: '* * * * *', timezone: 'UTC' });
    expectTypeOf(worker).toEqualTypeOf<BackgroundIntervalWorker<[path: string]>>();
    expectTypeOf(worker.nextRun).toEqualTypeOf<number | undefined>();
    expectTypeOf(worker.trigger()).toEqualTypeOf<boolean>();
    // @ts-expect-error it has no queue
    worker.put('a');
  });

  it('gives an event worker for event', () => {
    const worker = backgroundWorker((volume: number) => volume, { name: 'd', event: true, type: 'loop' });
    expectTypeOf(worker).toEqualTypeOf<BackgroundEventWorker<[volume: number]>>();
    expectTypeOf(worker.trigger).returns.toEqualTypeOf<boolean>();
    // @ts-expect-error it has no clock
    worker.nextRun;
  });

  it('gives a queue worker that takes items, and starts with the rest', () => {
    const worker = backgroundWorker(async (row: Row, table: string) => `${table}${row.id}`, { name: 'e', queue: true });
    expectTypeOf(worker).toEqualTypeOf<BackgroundQueueWorker<Row, [table: string]>>();
    expectTypeOf(worker.put).parameter(0).toEqualTypeOf<Row>();
    expectTypeOf(worker.put).returns.toEqualTypeOf<Promise<string>>();
    // @ts-expect-error it takes rows
    void worker.put('a');
    // @ts-expect-error it takes a table
    worker.start();
    // @ts-expect-error it runs for items
    worker.trigger();
  });

  it('gives one that takes single items for a function that gets batches', () => {
    const worker = backgroundWorker((rows: readonly Row[], table: string) => rows.map(({ id }) => table + id), {
      name: 'f',
      queue: { batchSize: 10, concurrency: 2 },
    });
    expectTypeOf(worker).toEqualTypeOf<BackgroundQueueWorker<Row, [table: string]>>();
    // @ts-expect-error it takes single rows
    void worker.put([{ id: 1 }]);
    const whole = backgroundWorker((rows: Row[]) => rows.length, { name: 'g', queue: { concurrency: 2 } });
    expectTypeOf(whole.put).parameter(0).toEqualTypeOf<Row[]>();
  });
});

describe('classes', () => {
  it('say what their runs, starts and items are', () => {
    class Sweep extends BackgroundWorker<[path: string]> {
      override run(path: string): number {
        return path.length;
      }
    }
    expectTypeOf(new Sweep().start).parameters.toEqualTypeOf<[path: string]>();

    class Ingest extends BackgroundQueueWorker<Row, [table: string]> {
      override run(row: Row, table: string): string {
        return table + row.id;
      }
    }
    const ingest = new Ingest({ queue: true });
    expectTypeOf(ingest.put).parameter(0).toEqualTypeOf<Row>();
    expectTypeOf(ingest.start).parameters.toEqualTypeOf<[table: string]>();

    class Alarm extends BackgroundEventWorker<[]> {
      override run(): void {}
    }
    expectTypeOf(new Alarm().trigger).returns.toEqualTypeOf<boolean>();

    class Tick extends BackgroundIntervalWorker<[]> {
      override run(): void {}
    }
    expectTypeOf(new Tick({ intervalMs: 1 })).toExtend<BackgroundEventWorker<[]>>();
    // @ts-expect-error it needs to know when
    new Tick();
  });
});
