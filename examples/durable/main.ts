/**
 * 5,000 orders in a file, and a program that does them and is killed twenty times on the way, with SIGKILL, at random. Then it
 * is checked that each order was done, once as far as its idempotency key tells. Exit code 1 if not.
 *
 *   node --import tsx examples/durable/main.ts [--tasks 5000] [--kills 20]
 */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { Ledger } from './ledger.ts';
import { openCourier, queueName, steps } from './queue.ts';

const { values } = parseArgs({
  options: { tasks: { type: 'string', default: '5000' }, kills: { type: 'string', default: '20' } },
});
const [count, kills] = [Number(values.tasks), Number(values.kills)];
if (!(Number.isSafeInteger(count) && Number.isSafeInteger(kills) && kills >= 0 && count >= 2 * kills && count > 0)) {
  console.error('--tasks and --kills take whole numbers, and there are at least twice as many tasks as kills');
  process.exit(2);
}

const interrupt = new AbortController();
const { signal } = interrupt;
const onSignal = () => interrupt.abort();
process.on('SIGINT', onSignal).on('SIGTERM', onSignal);

const folder = await mkdtemp(join(tmpdir(), 'taskwarden-durable-'));
const [file, ledgerFile] = [join(folder, 'orders.db'), join(folder, 'ledger')];
const courier = openCourier(file);
const program = fileURLToPath(new URL('./worker.ts', import.meta.url));
let worker: ChildProcess | undefined;

function startWorker(): ChildProcess {
  // A group of its own: Ctrl-C is for this program, which ends the other one.
  return fork(program, [file, ledgerFile], { detached: true });
}

async function endWorker(how: NodeJS.Signals): Promise<void> {
  const ending = worker;
  worker = undefined;
  if (ending === undefined || ending.exitCode !== null || ending.signalCode !== null) return;
  const exited = once(ending, 'exit');
  ending.kill(how);
  await exited;
}

/** After how many orders it is killed. */
function randomMoments(): number[] {
  const moments = new Set<number>();
  while (moments.size < kills) moments.add(1 + Math.floor(Math.random() * (count - 1)));
  return [...moments].sort((a, b) => a - b);
}

async function run(): Promise<void> {
  const orders = Array.from({ length: count }, (_, n) => ({ function: 'order', args: [n + 1] }));
  const ids = await courier.bulkAddTasksToQueue(queueName, orders);
  console.log(`${count} orders are in ${file}`);
  const startedAt = performance.now();
  const moments = randomMoments();
  let killed = 0;
  let done = 0;
  worker = startWorker();
  await using _events = await courier.subscribe(queueName, ({ kind }) => {
    if (kind === 'completed') done += 1;
  });
  const ended = Promise.all(ids.map((id) => courier.waitForTaskResult(queueName, id, { signal })));
  const isOver = ended.then(
    () => true,
    () => true,
  );
  for (const moment of moments) {
    while (done < moment && !(await Promise.race([isOver, tick()])));
    if (signal.aborted) break;
    await endWorker('SIGKILL');
    killed += 1;
    worker = startWorker();
  }
  const results = new Set(await ended);
  const seconds = (performance.now() - startedAt) / 1_000;
  console.log(`all are done, in ${seconds.toFixed(1)} s; the program was killed ${killed} times`);
  await report(results);
}

async function tick(): Promise<false> {
  await new Promise((resolve) => setTimeout(resolve, 5));
  return false;
}

async function report(results: ReadonlySet<unknown>): Promise<void> {
  const problems: string[] = [];
  if (results.size !== count)
    problems.push(`${results.size} orders have a result of their own, and should be ${count}`);
  const { waiting, delayed, leased, deadLetters } = await courier.getQueueInfo(queueName);
  const left = { ...waiting, delayed, leased, deadLetters };
  for (const [state, orders] of Object.entries(left)) if (orders > 0) problems.push(`${orders} orders are ${state}`);
  const seen = new Ledger(ledgerFile).read();
  for (const step of steps) {
    const keys = seen.get(step) ?? new Map<string, number>();
    const times = [...keys.values()].reduce((sum, each) => sum + each, 0);
    if (keys.size !== count) problems.push(`${step}: done for ${keys.size} orders, and should be ${count}`);
    console.log(`${step}: done for ${keys.size} orders, and ${times - keys.size} times again for the same key`);
  }
  for (const problem of problems) console.error(problem);
  if (problems.length > 0) process.exitCode = 1;
}

try {
  await run();
} catch (error) {
  if (!signal.aborted) throw error;
  console.log('\ninterrupted');
  process.exitCode = 130;
} finally {
  await endWorker('SIGTERM');
  await courier.close();
  await rm(folder, { recursive: true });
  process.off('SIGINT', onSignal).off('SIGTERM', onSignal);
}
