import { fileURLToPath } from 'node:url';
import { report } from './report.mjs';

const startedAt = performance.now();
const { DynamicThreadPool, availableParallelism } = await import('poolifier');
const importedAt = performance.now();
const worker = fileURLToPath(new URL('../work/poolifier-thread.mjs', import.meta.url));
const pool = new DynamicThreadPool(1, Math.max(availableParallelism(), 2), worker);
report(startedAt, importedAt, await pool.execute(1, 'tiny'));
