import { fileURLToPath } from 'node:url';
import { report } from './report.mjs';

const startedAt = performance.now();
const { default: workerpool } = await import('workerpool');
const importedAt = performance.now();
const script = fileURLToPath(new URL('../work/workerpool-thread.mjs', import.meta.url));
const pool = workerpool.pool(script, { workerType: 'thread' });
report(startedAt, importedAt, await pool.exec('tiny', [1]));
