/** Both contestants on one Redis, each with a client here and workers in processes of their own, which wait meanwhile. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { Contestant } from '../measure.ts';
import { type BenchClient, type Library, openClient } from './clients.ts';
import { startRedis } from './redis.ts';

const program = fileURLToPath(new URL('./worker-process.ts', import.meta.url));
const libraries: readonly Library[] = ['taskwarden', 'bullmq'];

interface Layout {
  readonly workers: number;
  readonly concurrency: number;
}

/** Gives the figure of one run. */
export type Run = (client: BenchClient) => Promise<number>;

/** Runs `measure` with both, on a Redis of its own. */
export async function withContestants<R>(
  { workers, concurrency }: Layout,
  run: Run,
  measure: (contestants: readonly Contestant[]) => Promise<R>,
): Promise<R> {
  const redis = await startRedis();
  try {
    const contestants = libraries.map(async (name): Promise<Contestant> => {
      const queue = `bench-${name}`;
      const children = await Promise.all(
        Array.from({ length: workers }, () => startWorker(name, `${redis.port}`, queue, `${concurrency}`)),
      );
      const client = await openClient(name, redis.port, queue);
      await client.one({ n: 0 });
      const close = async () => {
        await client.close();
        for (const child of children) child.kill('SIGKILL');
      };
      return { name, settings: `${workers} x concurrency ${concurrency}`, run: () => run(client), close };
    });
    return await measure(await Promise.all(contestants));
  } finally {
    await redis.stop();
  }
}

async function startWorker(...args: readonly string[]): Promise<ChildProcess> {
  const child = fork(program, args, { execArgv: ['--import', 'tsx'] });
  await once(child, 'message');
  return child;
}
