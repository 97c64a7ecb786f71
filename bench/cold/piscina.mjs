import { report } from './report.mjs';

const startedAt = performance.now();
const { Piscina } = await import('piscina');
const importedAt = performance.now();
const pool = new Piscina({ filename: new URL('../work/work.mjs', import.meta.url).href, name: 'tiny' });
report(startedAt, importedAt, await pool.run(1));
