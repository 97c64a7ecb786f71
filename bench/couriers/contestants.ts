/** Both contestants on one server, each with a client here and workers in processes of their own, which wait meanwhile. */
import { randomUUID } from 'node:crypto';
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

/** Their queues are new ones. Closing the contestants ends the workers. */
export async function openContestants(url: string, layout: Layout, run: Run): Promise<readonly Contestant[]> {
  const contestants = [];
  for (const name of libraries) contestants.push(await openContestant(name, url, layout, run));
  return contestants;
}

async function openContestant(
  name: Library,
  url: string,
  { workers, concurrency }: Layout,
  run: Run,
): Promise<Contestant> {
  const queue = `bench-${name}-${randomUUID()}`;
  const programs = Array.from(
    { length: workers },
    () => new Program<void>(workerProgram, name, url, queue, String(concurrency)),
  );
  await Promise.all(programs.map((program) => program.run()));
  const client = await openClient(name, url, queue);
  await client.one({ n: 0 });
  const close = async () => {
    await client.close();
    await Promise.all(programs.map((program) => program.close()));
  };
  return { name, settings: `${workers} x concurrency ${concurrency}`, run: () => run(client), close };
}
