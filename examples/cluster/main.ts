/**
 * A cluster on one machine: a Redis, three worker processes, and a client that sends 10,000 checksum tasks. When a third is
 * done, one worker is killed. Then it is checked that every result is there once, and right. Exit code 1 if not.
 *
 *   node --import tsx examples/cluster/main.ts [--jobs 10000] [--redis redis://...] [directory]     default: node_modules
 *
 * Without an URL it starts a Redis of its own.
 */

import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { isDeepStrictEqual, parseArgs } from 'node:util';
import { SingleBar } from 'cli-progress';
import { Redis } from 'ioredis';
import { BullMQTaskCourier } from 'taskwarden/bullmq';
import { findFiles } from '../checksums/find-files.ts';
import { ResultCheck } from './check.ts';
import { CrewMember } from './crew.ts';
import { leaseMs, queueName } from './queue.ts';
import { OwnRedis } from './redis.ts';
import type { Done } from './worker.ts';

const { values, positionals } = parseArgs({
  options: { jobs: { type: 'string', default: '10000' }, redis: { type: 'string' } },
  allowPositionals: true,
});
const count = Number(values.jobs);
if (!(Number.isSafeInteger(count) && count >= 100)) {
  console.error('--jobs takes a whole number, 100 or more');
  process.exit(2);
}
if (values.redis === undefined && !OwnRedis.isInstalled()) {
  console.error(
    'There is no redis-server in the PATH: install Redis (apt-get install redis-server, brew install redis), or give --redis <url>',
  );
  process.exit(1);
}

/** The first signal stops all; a second one changes nothing. */
const interrupt = new AbortController();
const { signal } = interrupt;
const onSignal = () => interrupt.abort();
process.on('SIGINT', onSignal).on('SIGTERM', onSignal);

const root = resolve(positionals[0] ?? fileURLToPath(new URL('../../node_modules', import.meta.url)));
const problems: string[] = [];
/** Keys of this run alone, which are removed at its end. */
const prefix = `taskwarden-cluster-${crypto.randomUUID()}`;

interface Result {
  readonly id: string;
  readonly path: string;
  readonly done: Done;
}

async function run(courier: BullMQTaskCourier, crew: readonly CrewMember[]): Promise<void> {
  await Promise.all(crew.map((member) => member.ready()));
  const files = await findFiles(root, (directory, error) => problems.push(`${directory}: ${error}`));
  if (files.length === 0) throw new Error(`there are no files under ${root}`);
  // Spread over all files; where there are not enough, some come again.
  const paths = Array.from({ length: count }, (_, n) => files[Math.floor((n * files.length) / count)] as string);
  signal.throwIfAborted();

  console.log(`${count} tasks for ${crew.length} workers, by ${new URL(redisUrl).host}; leases of ${leaseMs} ms`);
  const bar = process.stdout.isTTY
    ? new SingleBar({ format: '{bar} {value}/{total} results, {eta_formatted} left', stream: process.stdout })
    : undefined;
  bar?.start(count, 0);
  const startedAt = performance.now();
  const [victim] = crew as [CrewMember];
  const results: Result[] = [];
  try {
    const calls = paths.map((path) => ({ function: 'checksum', args: [path] }));
    const ids = await courier.bulkAddTasksToQueue(queueName, calls, { signal });
    const waits = ids.map(async (id, n) => {
      const done = await courier.waitForTaskResult<Done>(queueName, id, { signal });
      results.push({ id, path: paths[n] as string, done });
      bar?.increment();
      if (results.length === Math.floor(count / 3)) victim.kill();
    });
    // Each is heard, so that the first failure waits for no other.
    await Promise.all(waits);
  } finally {
    bar?.stop();
  }
  const endedAt = performance.now();

  for (const { name, timeEnded } of crew) {
    const done = results.filter((result) => result.done.worker === name).length;
    const seconds = ((timeEnded ?? endedAt) - startedAt) / 1_000;
    const fate = timeEnded === undefined ? '' : ', then it was killed';
    console.log(`${name}: ${done} done in ${seconds.toFixed(1)} s, ${Math.round(done / seconds)} a second${fate}`);
  }
  const again = results.filter(({ done }) => done.attempt > 1).length;
  console.log(`${victim.name} had ${again} in flight, which were done again by the others`);
  const seconds = (endedAt - startedAt) / 1_000;
  console.log(`all together: ${seconds.toFixed(1)} s, ${Math.round(count / seconds)} a second`);
  if ((await victim.ended) !== 'SIGKILL') problems.push(`${victim.name} was not killed`);
  await verify(courier, results);
}

async function verify(courier: BullMQTaskCourier, results: readonly Result[]): Promise<void> {
  const ids = new Set(results.map(({ id }) => id));
  if (ids.size !== count) problems.push(`${ids.size} tasks have ended, and should be ${count}`);
  // Had a task ended twice, there would be something left in the queue, or another result by now.
  const { waiting, delayed, leased, deadLetters } = await courier.getQueueInfo(queueName);
  const left = { ...waiting, delayed, leased, deadLetters };
  for (const [state, tasks] of Object.entries(left)) if (tasks > 0) problems.push(`${tasks} tasks are still ${state}`);
  const check = new ResultCheck();
  for (const [n, { id, path, done }] of results.entries()) {
    signal.throwIfAborted();
    if (!isDeepStrictEqual(await courier.getTaskResult(queueName, id), done)) problems.push(`${id}: has ended twice`);
    await check.check(path, done.sums, n % 50 === 0);
  }
  problems.push(...check.problems);
  if (problems.length > 0) return;
  console.log(
    `all ${count} came back once, with the right size and SHA-256; ${check.zipped} gzip sizes were compared, too`,
  );
}

/** On a Redis that others use nothing is to stay. */
async function removeKeys(url: string): Promise<void> {
  const redis = new Redis(url);
  for await (const keys of redis.scanStream({ match: `${prefix}:*`, count: 1_000 })) {
    if ((keys as string[]).length > 0) await redis.unlink(...(keys as string[]));
  }
  await redis.quit();
}

const ownRedis = values.redis === undefined ? await OwnRedis.start() : undefined;
const redisUrl = values.redis ?? (ownRedis as OwnRedis).url;
const courier = new BullMQTaskCourier(redisUrl, { prefix, leaseMs });
const crew = [1, 2, 3].map((n) => new CrewMember(`worker ${n}`, redisUrl, prefix));
try {
  await run(courier, crew);
} catch (error) {
  if (!signal.aborted) throw error;
  console.log('\ninterrupted');
  process.exitCode = 130;
} finally {
  await Promise.all(crew.map((member) => member.stop()));
  await courier.close();
  if (ownRedis === undefined) await removeKeys(redisUrl);
  else await ownRedis.stop();
  process.off('SIGINT', onSignal).off('SIGTERM', onSignal);
}
for (const problem of problems.slice(0, 20)) console.error(problem);
if (problems.length > 0) {
  console.error(`${problems.length} problems`);
  process.exitCode = 1;
}
