/** Both contestants on one server, each with a client here and workers in processes of their own, which wait meanwhile. */
import type { Server } from '../../test/servers/server.ts';
import type { Contestant } from '../measure.ts';
import { Program } from '../program.ts';
import { type BenchClient, type Library, openClient } from './clients.ts';

const workerProgram = new URL('./worker-process.ts', import.meta.url);
const libraries: readonly Library[] = ['taskwarden', 'bullmq'];

export interface Layout {
  readonly workers: number;
  readonly concurrency: number;
}

/** Gives the figure of one run. */
export type Run = (client: BenchClient) => Promise<number>;

/** Rejects where the server can't be started. */
export type StartServer = () => Promise<Server>;

/** Runs `measure` with both, on a server of its own. */
export async function withContestants<R>(
  start: StartServer,
  { workers, concurrency }: Layout,
  run: Run,
  measure: (contestants: readonly Contestant[]) => Promise<R>,
): Promise<R> {
  await using server = await start();
  const contestants = [];
  for (const name of libraries) contestants.push(await contestant(name));
  return await measure(contestants);

  async function contestant(name: Library): Promise<Contestant> {
    const queue = `bench-${name}`;
    const programs = Array.from(
      { length: workers },
      () => new Program<void>(workerProgram, name, server.url, queue, String(concurrency)),
    );
    await Promise.all(programs.map((program) => program.run()));
    const client = await openClient(name, server.url, queue);
    await client.one({ n: 0 });
    const close = async () => {
      await client.close();
      await Promise.all(programs.map((program) => program.close()));
    };
    return { name, settings: `${workers} x concurrency ${concurrency}`, run: () => run(client), close };
  }
}
