import { report } from './report.mjs';

const startedAt = performance.now();
const { Tinypool } = await import('tinypool');
const importedAt = performance.now();
const pool = new Tinypool({ filename: new URL('../work/work.mjs', import.meta.url).href, name: 'tiny' });
report(startedAt, importedAt, await pool.run(1));
