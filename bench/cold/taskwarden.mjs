import { report } from './report.mjs';

const startedAt = performance.now();
const { tasksFrom } = await import('taskwarden');
const importedAt = performance.now();
const { tiny } = tasksFrom(new URL('../work/work.mjs', import.meta.url));
report(startedAt, importedAt, await tiny(1));
