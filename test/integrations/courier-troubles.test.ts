/**
 * A server that is there, but can't do what it is asked for a while: whatever it says, workers and all who wait go on when
 * it is well again; nothing is lost, and the worker tells of it once.
 */
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { Client } from 'pg';
import { BackgroundQueueWorker, BaseWorker, type CourierTask, TaskSupervisor, type TaskwardenError } from 'taskwarden';
import { BullMQTaskCourier } from 'taskwarden/bullmq';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { failure } from '../fixtures/listening.ts';
import { startPostgres } from '../servers/postgres.ts';
import { startRedis } from '../servers/redis.ts';
import type { Server } from '../servers/server.ts';

/** How long each lasts, in milliseconds. */
const troubleMs = 2_000;

/** Makes the trouble, and gives what ends it. */
type Trouble = (server: Server) => Promise<() => Promise<unknown>>;

let prefixes = 0;

interface Where {
  readonly name: string;
  readonly server: () => Server;
  /** Where the couriers connect. */
  readonly url: () => string;
  /** Nothing works meanwhile, so it is one outage. Default: true. */
  readonly isTotal?: boolean;
}

function whatComesBack({ name: kind, server, url, isTotal = true }: Where, troubles: Record<string, Trouble>): void {
  it.each(Object.entries(troubles))(`${kind}: %s`, { timeout: 60_000 }, async (_name, begin) => {
    prefixes += 1;
    const prefix = `trouble${prefixes}`;
    const connect = () => {
      const courier = new BullMQTaskCourier(url(), { prefix });
      onTestFinished(() => courier.close());
      return courier;
    };
    const client = connect();
    const heard: unknown[][] = [[], []];
    class Slow extends BaseWorker {
      override async performSingleTask({ data }: CourierTask): Promise<unknown> {
        await pause(100);
        if (data === 7) throw new Error('seven');
        return data;
      }
    }
    const worker = new Slow({ courier: connect(), queueName: 'tasks', onError: (error) => heard[0]?.push(error) });
    const performed = worker.perform();
    await using supervisor = new TaskSupervisor({ logger: false });
    const items = new BackgroundQueueWorker((n: number) => pause(100, n), {
      name: 'items',
      type: 'loop',
      supervisor,
      queue: { courier: connect() },
      onError: (error) => heard[1]?.push(error),
    });
    items.start();

    const data = Array.from({ length: 8 }, (_, n) => n);
    const queues = ['tasks', 'items'];
    const ids = await Promise.all(queues.map((queue) => client.bulkAddTasksToQueue(queue, data, { wait: true })));
    const results = ids.map((some, n) =>
      Promise.allSettled(some.map((id) => client.waitForTaskResult(queues[n] as string, id))),
    );
    await Promise.all(ids.map(([first], n) => client.waitForTaskResult(queues[n] as string, first as string)));

    const end = await begin(server());
    const added = client.addTaskToQueue('tasks', 'added meanwhile', { wait: true });
    await pause(troubleMs);
    await end();

    expect(await client.waitForTaskResult('tasks', await added)).toBe('added meanwhile');
    const [tasks = [], done = []] = await Promise.all(results);
    expect(tasks.map((each) => (each.status === 'fulfilled' ? each.value : each.reason.message))).toEqual([
      0,
      1,
      2,
      3,
      4,
      5,
      6,
      'seven',
    ]);
    expect(done.map((each) => each.status === 'fulfilled' && each.value)).toEqual(data);
    for (const errors of heard) {
      const codes = errors.map((error) => (error as TaskwardenError).code);
      if (isTotal) expect(codes).toHaveLength(1);
      expect(codes.filter((code) => code !== 'COURIER_UNREACHABLE')).toEqual([]);
    }
    expect(await client.getQueueInfo('tasks')).toMatchObject({ leased: 0, deadLetters: 1 });
    await items.stop();
    worker.stop();
    await performed;
  });
}

describe('Redis', () => {
  let server: Server;
  let redis: Redis;
  const user = ['worker', 'on', '>right', '~*', '&*', '+@all'] as const;
  const url = () => server.url.replace('://', '://worker:right@');

  beforeAll(async () => {
    server = await startRedis();
    redis = new Redis(server.url);
    await redis.acl('SETUSER', ...user);
  });

  afterAll(async () => {
    redis.disconnect();
    await server.stop();
  });

  function setting(name: string, value: string, before: string): Trouble {
    return async () => {
      await redis.config('SET', name, value);
      return () => redis.config('SET', name, before);
    };
  }

  whatComesBack(
    { name: 'comes back after', server: () => server, url },
    {
      'no memory left': setting('maxmemory', '1', '0'),
      'a snapshot that can not be written': async ({ folder }) => {
        const file = join(folder, 'dump.rdb');
        await mkdir(join(file, 'in-the-way'), { recursive: true });
        await redis.config('SET', 'save', '3600 1');
        await redis.bgsave();
        await until(async () => /rdb_last_bgsave_status:err/.test(await redis.info('persistence')));
        return async () => {
          await rm(file, { recursive: true });
          await redis.config('SET', 'save', '');
          await redis.bgsave();
        };
      },
      'too few replicas': setting('min-replicas-to-write', '1', '0'),
      'rights that were taken away': async () => {
        await redis.acl('SETUSER', 'worker', '-@all');
        return () => redis.acl('SETUSER', ...user);
      },
      'a password that was changed': async () => {
        await redis.acl('SETUSER', 'worker', 'resetpass', '>other');
        await redis.client('KILL', 'USER', 'worker');
        return () => redis.acl('SETUSER', ...user);
      },
    },
  );

  it('that never lets anybody in is a clear error, without the password', async () => {
    for (const [wrong, why] of [
      [server.url.replace('://', '://worker:S3cret@'), /WRONGPASS/],
      [`${server.url}/99`, /DB index is out of range/],
    ] as const) {
      const courier = new BullMQTaskCourier(wrong);
      onTestFinished(() => courier.close());
      const worker = new (class extends BaseWorker {
        override performSingleTask(): void {}
      })({ courier, queueName: 'any', onError: () => {} });
      const calls = [
        courier.addTaskToQueue('any', 1, { wait: true }),
        courier.waitForTaskResult('any', 'x'),
        worker.perform(),
      ];
      for (const call of calls) {
        const error = (await failure(call)) as TaskwardenError;
        expect(error).toMatchObject({ code: 'SERVER_REFUSED', message: expect.stringMatching(why) });
        expect(`${error.stack}${JSON.stringify(error)}`).not.toContain('S3cret');
      }
    }
  });
});

describe('PostgreSQL', () => {
  let server: Server;
  let postgres: Client;
  const url = () => server.url.replace('postgres@', 'worker@');

  beforeAll(async () => {
    server = await startPostgres();
    postgres = new Client({ connectionString: server.url });
    await postgres.connect();
    await postgres.query("CREATE ROLE worker SUPERUSER LOGIN; ALTER ROLE worker SET statement_timeout = '1000ms'");
    await postgres.query("CREATE ROLE hasty SUPERUSER LOGIN; ALTER ROLE hasty SET lock_timeout = '500ms'");
  });

  afterAll(async () => {
    await postgres.end();
    await server.stop();
  });

  const locked: Trouble = async () => {
    await postgres.query(`BEGIN; LOCK TABLE trouble${prefixes}.job IN ACCESS EXCLUSIVE MODE`);
    return () => postgres.query('COMMIT');
  };

  /** Each change of a job fails. */
  function refusing(code: string): Trouble {
    return async () => {
      const schema = `trouble${prefixes}`;
      await postgres.query(`
        CREATE FUNCTION ${schema}.refuse() RETURNS trigger LANGUAGE plpgsql AS
          $$ BEGIN RAISE EXCEPTION 'in trouble' USING ERRCODE = '${code}'; END $$;
        CREATE TRIGGER refuse BEFORE INSERT OR UPDATE ON ${schema}.job FOR EACH STATEMENT EXECUTE FUNCTION ${schema}.refuse()`);
      return () => postgres.query(`DROP TRIGGER refuse ON ${schema}.job`);
    };
  }

  const lockedOut = { name: 'comes back after a lock, with a limit for', server: () => server, isTotal: false };
  whatComesBack({ ...lockedOut, url }, { statements: locked });
  whatComesBack({ ...lockedOut, url: () => server.url.replace('postgres@', 'hasty@') }, { locks: locked });
  whatComesBack(
    { name: 'comes back after', server: () => server, url: () => server.url, isTotal: false },
    {
      'queries that are canceled': async () => {
        const end = new AbortController();
        const canceling = (async () => {
          while (!end.signal.aborted) {
            await postgres.query(
              "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'",
            );
          }
        })();
        return async () => {
          end.abort();
          await canceling;
        };
      },
    },
  );
  whatComesBack(
    { name: 'comes back after', server: () => server, url: () => server.url },
    {
      'deadlocks (40P01)': refusing('40P01'),
      'conflicts of transactions (40001)': refusing('40001'),
      'objects in use (55006)': refusing('55006'),
      'a full disk (53100)': refusing('53100'),
      'errors that nobody knows (P0001)': refusing('P0001'),
    },
  );

  it('that never lets anybody in is a clear error', async () => {
    for (const [wrong, why] of [
      [server.url.replace('postgres@', 'nobody:S3cret@'), /role "nobody" does not exist/],
      [server.url.replace(/postgres$/, 'nowhere'), /database "nowhere" does not exist/],
    ] as const) {
      const courier = new BullMQTaskCourier(wrong);
      onTestFinished(() => courier.close());
      expect(await failure(courier.addTaskToQueue('any', 1, { wait: true }))).toMatchObject({
        code: 'SERVER_REFUSED',
        message: expect.stringMatching(why),
      });
    }
  });
});

async function until(isSo: () => Promise<boolean>): Promise<void> {
  while (!(await isSo())) await pause(10);
}
