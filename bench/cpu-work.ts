/** How much of `spin` makes a millisecond on this machine, and how long things take. */
import { BareThread } from './pools/bare.ts';

export async function iterationsPerMs(): Promise<number> {
  const thread = new BareThread('spin');
  const iterations = 10_000_000;
  const samples: number[] = [];
  for (let sample = 0; sample < 11; sample += 1) samples.push(await elapsed(() => thread.run(iterations)));
  await thread.close();
  return Math.round(iterations / Math.min(...samples));
}

/** In milliseconds. */
export async function elapsed(run: () => PromiseLike<unknown>): Promise<number> {
  const startedAt = performance.now();
  await run();
  return performance.now() - startedAt;
}
