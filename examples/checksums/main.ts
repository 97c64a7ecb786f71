/**
 * SHA-256 and gzip size of every file under a directory, as low tasks on all cores. Meanwhile a high task looks up a
 * file four times a second, and a critical one verifies a checksum every second: neither waits behind the thousands.
 *
 *   npm start [-- directory]       default: node_modules
 */
import { statSync } from 'node:fs';
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { SingleBar } from 'cli-progress';
import { type TaskHandle, TaskSupervisor } from 'taskwarden';
import { checksum, type FileSums, lookUp, verify } from './files.ts';
import { findFiles } from './find-files.ts';
import { Tally } from './tally.ts';

const [, , given = fileURLToPath(new URL('../../node_modules', import.meta.url))] = process.argv;
const root = resolve(given);
if (!statSync(root, { throwIfNoEntry: false })?.isDirectory()) {
  console.error(`${root} is not a directory`);
  process.exit(2);
}

const tally = new Tally();
// `maxQueued` bounds the tasks that wait, and `capacity()` tells when there is room for one more.
const supervisor = new TaskSupervisor({ name: 'checksums', threads: { minSize: 'max' }, maxQueued: 64 });

let isInterrupted = false;
/** What waits is canceled, and what runs is asked to stop. A second signal changes nothing. */
const interrupt = () => {
  isInterrupted = true;
  void supervisor.stop({ cancelTasks: true });
};
process.on('SIGINT', interrupt).on('SIGTERM', interrupt);

/** One task in each thread, so that all have loaded the module before anybody waits for it. */
async function warmUp(): Promise<void> {
  await supervisor.ready();
  const task = lookUp.with({ supervisor, priority: 'critical' });
  await supervisor.waitCompleted(Array.from({ length: supervisor.getInfo().threads.size }, () => task(root)));
}

await warmUp().catch((error) => {
  if (!isInterrupted) throw error;
});
const { poolSize, size } = supervisor.getInfo().threads;
supervisor.on('task:completed', ({ task }) => tally.addWait(task));
supervisor.on('task:failed', ({ task }) => tally.addWait(task));
const files = await findFiles(root, (directory, error) => tally.addFailure(directory, error));
console.log(`${files.length} files under ${root}: ${poolSize} at a time, ${size} threads`);

const bar = process.stdout.isTTY
  ? new SingleBar({
      format: '{bar} {value}/{total} files, {speed} MB/s, {eta_formatted} left',
      stream: process.stdout,
    })
  : undefined;
bar?.start(files.length, 0, { speed: '0.0' });

/** The last file whose checksum was computed. */
let latest: FileSums | undefined;

/** The result, or undefined for a failure, which is counted. What an interruption has canceled is none. */
async function resultOf<T>(task: TaskHandle<T>, path: string): Promise<T | undefined> {
  try {
    return await task;
  } catch (error) {
    if (!isInterrupted) tally.addFailure(path, error);
    return undefined;
  }
}

async function checksumOne(path: string): Promise<void> {
  const sums = await resultOf(checksum.with({ supervisor })(path), path);
  if (sums === undefined) return;
  tally.addFile(sums);
  bar?.increment(1, { speed: tally.speed.toFixed(1) });
  const isFirst = latest === undefined;
  latest = sums;
  if (isFirst) await verifyLatest();
}

async function lookUpAny(): Promise<void> {
  const path = files[Math.floor(Math.random() * files.length)];
  await supervisor.capacity('high');
  if (path !== undefined && !isInterrupted) await resultOf(lookUp.with({ supervisor })(path), path);
}

async function verifyLatest(): Promise<void> {
  if (latest !== undefined && !isInterrupted) await resultOf(verify.with({ supervisor })(latest), latest.path);
}

const work = [lookUpAny()];
const timers = [setInterval(() => work.push(lookUpAny()), 250), setInterval(() => work.push(verifyLatest()), 1_000)];
for (const path of files) {
  await supervisor.capacity('low');
  if (isInterrupted) break;
  work.push(checksumOne(path));
}
await Promise.all(work);
for (const timer of timers) clearInterval(timer);
await Promise.all(work); // what a timer has begun meanwhile
bar?.stop();

const report = await supervisor.stop();
process.off('SIGINT', interrupt).off('SIGTERM', interrupt);
if (isInterrupted) {
  console.log(`\ninterrupted after ${tally.files} of ${files.length} files; ${report.terminated} threads were ended`);
  process.exitCode = 130;
}
tally.print();
const { pending, threads } = supervisor.getInfo();
console.log(`\n${pending} tasks and ${threads.size} threads are left; the program ends by itself.`);
