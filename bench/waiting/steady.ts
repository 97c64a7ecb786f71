/**
 * Answers with the microseconds that a task costs, from its call to its end, while so many wait: each that ends makes
 * place for another at the end of the queue.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { answer } from '../apart.ts';
import { busyPool } from './pools.ts';

const warmUpMs = 300;
const watchMs = 700;

const [name = '', depth = ''] = process.argv.slice(2);
const pool = busyPool(name);
let ended = 0;
await pool.run(1);
for (let n = 0; n < Number(depth); n += 1) submit();
await sleep(warmUpMs);
const endedBefore = ended;
const startedAt = performance.now();
await sleep(watchMs);
answer(((performance.now() - startedAt) / (ended - endedBefore)) * 1_000);

function submit(): void {
  pool.run(1).then(submitNext);
}

function submitNext(result: unknown): void {
  if (result !== 2) throw new Error(`a task gave ${result}`);
  ended += 1;
  submit();
}
