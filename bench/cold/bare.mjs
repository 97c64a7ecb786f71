import { report } from './report.mjs';

const startedAt = performance.now();
const { Worker } = await import('node:worker_threads');
const importedAt = performance.now();
const worker = new Worker(new URL('../work/bare-thread.mjs', import.meta.url), { workerData: 'tiny' });
worker.once('message', (result) => report(startedAt, importedAt, result));
worker.postMessage(1);
