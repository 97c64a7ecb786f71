import { report } from './report.mjs';

const startedAt = performance.now();
const { Worker } = await import('jest-worker');
const importedAt = performance.now();
const work = new URL('../work/work.mjs', import.meta.url);
const farm = new Worker(work, { exposedMethods: ['tiny'], enableWorkerThreads: true });
report(startedAt, importedAt, await farm.tiny(1));
