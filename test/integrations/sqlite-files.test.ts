/** Files that SqliteTaskCourier can't use, or not now: what it says, and that it goes on afterwards. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BaseWorker, type CourierTask, TaskwardenError } from 'taskwarden';
import { SqliteTaskCourier } from 'taskwarden/sqlite';
import { afterAll, afterEach, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { failureOf } from '../../src/integrations/sqlite/store/file/problems.ts';
import { failure } from '../fixtures/listening.ts';
import { openSqlite } from '../fixtures/sqlite.ts';

const root = mkdtempSync(join(tmpdir(), 'taskwarden-sqlite-'));
let folder: string;
let path: string;
let folders = 0;
const open: SqliteTaskCourier[] = [];

beforeEach(() => {
  folders += 1;
  folder = join(root, `${folders}`);
  mkdirSync(folder);
  path = join(folder, 'tasks.db');
});

afterEach(async () => {
  await Promise.all(open.splice(0).map((courier) => courier.close()));
});

afterAll(() => rmSync(root, { recursive: true }));

function connect(options: object = {}, file = path): SqliteTaskCourier {
  const courier = new SqliteTaskCourier(file, options);
  open.push(courier);
  return courier;
}

class Echo extends BaseWorker {
  readonly errors: unknown[] = [];

  override performSingleTask({ data }: CourierTask): unknown {
    return data;
  }

  override onError(error: unknown): void {
    this.errors.push(error);
  }
}

describe('a file that can not be used', () => {
  const files: Readonly<Record<string, readonly [make: () => void, says: RegExp]>> = {
    'is in a folder that does not exist': [
      () => {
        path = join(folder, 'none', 'tasks.db');
      },
      /tasks\.db can't be used: its folder does not exist: make .+none first/,
    ],
    'is a folder': [() => mkdirSync(path), /it is a folder/],
    'is no database': [() => writeFileSync(path, 'x'.repeat(5_000)), /it is no database of SQLite; use another path/],
    'belongs to another program': [
      () => {
        const connection = openSqlite(path);
        connection.exec('CREATE TABLE theirs (a)');
        connection.close();
      },
      /it belongs to another program; use another path/,
    ],
  };

  it.each(Object.entries(files))('%s: all calls say so, and a worker ends', async (_, [make, says]) => {
    make();
    const courier = connect();
    const errors = await Promise.all([
      failure(courier.addTaskToQueue('work', 1)),
      failure(courier.addTaskToQueue('work', 1, { wait: true })),
      failure(courier.waitForTask('work')),
      failure(courier.waitForTaskResult('work', 'any')),
      failure(new Echo({ courier, queueName: 'work' }).perform()),
    ]);
    for (const error of errors) {
      expect(error).toBeInstanceOf(TaskwardenError);
      expect(error).toMatchObject({ code: 'DATABASE_UNUSABLE', message: expect.stringMatching(says) });
    }
  });

  it('was made by a later version: it is left as it is', async () => {
    const courier = connect();
    const id = await courier.addTaskToQueue('work', 1);
    await courier.close();
    const connection = openSqlite(path);
    connection.exec('PRAGMA user_version = 1000');
    expect(await failure(connect().getTask('work'))).toMatchObject({
      code: 'DATABASE_UNUSABLE',
      message: expect.stringMatching(/a later version of taskwarden has made it .* update taskwarden in each program/),
    });
    expect(connection.prepare('SELECT id, state FROM tasks').all()).toMatchObject([{ id, state: 'waiting' }]);
    connection.close();
  });

  it.each([
    ['SQLITE_READONLY', /it can only be read; check the rights/],
    ['SQLITE_READONLY_DIRECTORY', /it can only be read; check the rights/],
    ['SQLITE_CORRUPT', /it is damaged; restore it from a backup/],
    ['SQLITE_PERM', /it may not be opened/],
    ['SQLITE_CANTOPEN', /it can not be opened; check that its folder exists/],
  ])('by %s', (code, says) => {
    const error = Object.assign(new Error('sqlite'), { code });
    expect(failureOf('/tmp/tasks.db', error)).toMatchObject({ code: 'unusable', message: expect.stringMatching(says) });
  });

  it('can be used as soon as what was wrong is mended', async () => {
    writeFileSync(path, 'x'.repeat(5_000));
    const courier = connect();
    expect(await failure(courier.addTaskToQueue('work', 1))).toMatchObject({ code: 'DATABASE_UNUSABLE' });
    rmSync(path);
    await courier.addTaskToQueue('work', 2);
    expect(await courier.getTask('work')).toMatchObject({ data: 2 });
  });

  it.each([':memory:', 'file:tasks.db', '', 5])('is none: %j', (wrong) => {
    expect(() => new SqliteTaskCourier(wrong as string)).toThrow(TypeError);
  });
});

it.each([
  [{ leaseMs: 0 }, RangeError],
  [{ resultTtlMs: -1 }, RangeError],
  [{ maxQueued: 0 }, RangeError],
  [{ maxStalls: 1.5 }, RangeError],
  [{ busyTimeoutMs: -1 }, RangeError],
  [{ busyTimeoutMs: '5' }, TypeError],
  [{ prefix: 'p' }, TypeError],
])('refuses the options %j', (options, kind) => {
  expect(() => new SqliteTaskCourier(path, options as object)).toThrow(kind);
  expect(existsSync(path)).toBe(false);
});

it('is made once, by however many open it at once', async () => {
  const couriers = Array.from({ length: 6 }, () => connect());
  await Promise.all(couriers.map((courier, n) => courier.addTaskToQueue('work', n)));
  for (const courier of couriers) {
    expect(await courier.getQueueInfo('work')).toMatchObject({ waiting: { normal: 6 } });
  }
});

describe('a database that another program has locked', () => {
  /** Has the lock of writers until it is called. */
  async function lock(): Promise<() => void> {
    await connect().getQueueInfo('work'); // the file is there
    const connection = openSqlite(path);
    connection.exec('BEGIN IMMEDIATE');
    let isLocked = true;
    const unlock = () => {
      if (isLocked) connection.exec('ROLLBACK');
      if (isLocked) connection.close();
      isLocked = false;
    };
    onTestFinished(unlock);
    return unlock;
  }

  it('fails calls with COURIER_UNREACHABLE, with the cause, and nothing was done', async () => {
    const unlock = await lock();
    const courier = connect({ busyTimeoutMs: 20 });
    expect(await failure(courier.addTaskToQueue('work', 1, { id: 'mine' }))).toMatchObject({
      code: 'COURIER_UNREACHABLE',
      taskId: 'mine',
      message: expect.stringMatching(/nothing was added \(the database is locked by another program/),
      cause: { code: 'SQLITE_BUSY' },
    });
    unlock();
    expect(await courier.addTaskToQueue('work', 2, { id: 'mine' })).toBe('mine');
    expect((await courier.bulkGetTasks('work', 5)).map(({ data }) => data)).toEqual([2]);
  });

  it('can be read meanwhile', async () => {
    const courier = connect({ busyTimeoutMs: 20 });
    const id = await courier.addTaskToQueue('work', 1);
    await lock();
    expect(await courier.getQueueInfo('work')).toMatchObject({ waiting: { normal: 1 } });
    expect(await courier.checkForDone('work', id)).toBe(false);
  });

  it('is waited for by workers, by who adds with `wait`, and by who waits for a result', async () => {
    const client = connect({ busyTimeoutMs: 20 });
    const before = await client.addTaskToQueue('work', 'before');
    const unlock = await lock();
    const worker = new Echo({ courier: connect({ busyTimeoutMs: 20 }), queueName: 'work' });
    const performed = worker.perform();
    const result = client.waitForTaskResult('work', before);
    const added = client.addTaskToQueue('work', 'during', { wait: true });
    await expect.poll(() => worker.errors).toMatchObject([{ code: 'COURIER_UNREACHABLE' }]);
    unlock();
    expect(await result).toBe('before');
    expect(await client.waitForTaskResult('work', await added)).toBe('during');
    worker.stop();
    await performed;
    expect(worker.errors).toHaveLength(1);
    expect(await client.getQueueInfo('work')).toMatchObject({ waiting: { normal: 0 }, leased: 0, deadLetters: 0 });
  });

  it('does not hold up the end of a wait, nor that of a courier', async () => {
    const courier = connect({ busyTimeoutMs: 600_000 });
    await courier.getQueueInfo('work');
    await lock();
    const waiting = failure(courier.addTaskToQueue('work', 1));
    const leave = new AbortController();
    const aborted = failure(courier.waitForTask('work', { signal: leave.signal }));
    leave.abort('enough');
    expect(await aborted).toBe('enough');
    expect(await courier.waitForTask('work', { timeoutMs: 10 })).toBeUndefined();
    await courier.close();
    expect(await waiting).toMatchObject({ code: 'COURIER_CLOSED' });
  });
});

describe('a disk', () => {
  it.runIf(process.getuid?.() === 0 && process.platform === 'linux')(
    'that is full refuses what is added, loses nothing, and is used again when there is room',
    async () => {
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=3m', 'tmpfs', folder]);
      onTestFinished(() => void execFileSync('umount', ['-l', folder]));
      const courier = connect();
      const data = 'x'.repeat(100_000);
      const ids: string[] = [];
      let refusal: unknown;
      while (refusal === undefined) {
        refusal = await courier.addTaskToQueue('work', data).then(
          (id) => void ids.push(id),
          (error) => error,
        );
      }
      expect(refusal).toMatchObject({
        code: 'COURIER_UNREACHABLE',
        message: expect.stringContaining('the disk is full'),
      });
      expect(await courier.getQueueInfo('work')).toMatchObject({ waiting: { normal: ids.length } });
      const added = courier.addTaskToQueue('work', data, { wait: true });
      execFileSync('mount', ['-o', 'remount,size=30m', folder]);
      ids.push(await added);
      expect((await courier.bulkGetTasks('work', 1_000)).map(({ id }) => id)).toEqual(ids);
      await courier.close();
    },
  );
});

describe('the journal', () => {
  it('has one entry for all calls that come together', async () => {
    const together = connect();
    const apart = connect({}, join(folder, 'apart.db'));
    await Promise.all([together.addTaskToQueue('work', 0), apart.addTaskToQueue('work', 0)]);
    const ids = await Promise.all(Array.from({ length: 200 }, (_, n) => together.addTaskToQueue('work', n)));
    expect(new Set(ids).size).toBe(200);
    for (let n = 0; n < 200; n += 1) await apart.addTaskToQueue('work', n);
    const sizes = [path, join(folder, 'apart.db')].map((file) => statSync(`${file}-wal`).size) as [number, number];
    expect(sizes[0]).toBeLessThan(sizes[1] / 4);
  });

  it('is left to the program that has the lock for that, and all go on meanwhile', async () => {
    const courier = connect();
    await courier.addTaskToQueue('work', 1);
    const other = openSqlite(`${path}-checkpoint`);
    other.exec('BEGIN EXCLUSIVE');
    const data = 'x'.repeat(100_000);
    for (let n = 0; n < 150; n += 1) await courier.addTaskToQueue('work', data);
    expect(statSync(path).size).toBeLessThan(1_000_000);
    expect(statSync(`${path}-wal`).size).toBeGreaterThan(15_000_000);
    other.exec('ROLLBACK');
    other.close();
    expect(await courier.getQueueInfo('work')).toMatchObject({ waiting: { normal: 151 } });
  });

  it('is brought into the file as it gets long, and is gone when the last courier is closed', async () => {
    const courier = connect();
    await courier.addTaskToQueue('work', 1);
    const data = 'x'.repeat(100_000);
    let longest = 0;
    for (let n = 0; n < 400; n += 1) {
      await courier.addTaskToQueue('work', data);
      longest = Math.max(longest, statSync(`${path}-wal`).size);
    }
    expect(longest).toBeLessThan(20_000_000);
    expect(statSync(path).size).toBeGreaterThan(20_000_000);
    await courier.close();
    expect(existsSync(`${path}-wal`)).toBe(false);
  });
});
