/** Steps over a real Redis and PostgreSQL: machines that are killed, and what the next one finds. */
import { Redis } from 'ioredis';
import { Client } from 'pg';
import { BullMQTaskCourier } from 'taskwarden/bullmq';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { Program } from '../fixtures/program.ts';
import { startPostgres } from '../servers/postgres.ts';
import { startRedis } from '../servers/redis.ts';
import type { Server } from '../servers/server.ts';

describe.each([
  ['Redis', startRedis],
  ['PostgreSQL', startPostgres],
] as const)('steps over %s', (_, start) => {
  let server: Server;

  beforeAll(async () => {
    server = await start();
  });

  afterAll(() => server.stop());

  /** All that the server has of a job. */
  async function stored(id: string): Promise<string> {
    if (server.url.startsWith('redis')) {
      const redis = new Redis(server.url);
      onTestFinished(() => redis.disconnect());
      return JSON.stringify(await redis.hgetall(`bull:orders:${id}`));
    }
    const client = new Client(server.url);
    await client.connect();
    onTestFinished(() => client.end());
    return JSON.stringify((await client.query('SELECT * FROM bullmq.job WHERE id = $1', [id])).rows);
  }

  it('that are kept are not done again when a machine is killed in the next one', async () => {
    const courier = new BullMQTaskCourier(server.url);
    onTestFinished(() => courier.close());
    const id = await courier.addTaskToQueue('orders', { function: 'order', args: [] });
    const lines: string[] = [];
    for (const step of ['pack', 'send']) {
      const machine = new Program('steps-worker.mjs', { args: [server.url, step] });
      await machine.printed(step);
      expect(await stored(id)).toContain('taskwarden:work');
      machine.kill('SIGKILL');
      lines.push(...(await machine.ended).lines);
    }
    const last = new Program('steps-worker.mjs', { args: [server.url] });
    expect(await courier.waitForTaskResult('orders', id)).toEqual([
      'pay in attempt 1',
      'pack in attempt 2',
      'send in attempt 3',
      3,
    ]);
    lines.push(...(await last.ended).lines);
    expect(await stored(id)).not.toContain('taskwarden:work');
    expect(lines).toEqual(['pay', 'pack', 'pack', 'send', 'send']);
  });
});
