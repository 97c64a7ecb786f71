/** Row 16: a courier on a file. On a Node without SQLite, the Node that the tests of SQLite have is used. */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { newerNode, nodeWithSqlite, setup } from '../../test/servers/newer-node.ts';
import { type Check, compare, type Figure, formatCount, type Measurement, medianOf, type Pace } from '../measure.ts';

const program = fileURLToPath(new URL('../durable/courier.mjs', import.meta.url));
const sizes = {
  full: { single: 1_000, oneByOne: 20_000, bulk: 60_000, runs: 5 },
  quick: { single: 200, oneByOne: 4_000, bulk: 10_000, runs: 2 },
};

export async function measure(pace: Pace): Promise<Measurement[]> {
  await setup();
  await newerNode();
  const { single, oneByOne, bulk, runs } = sizes[pace];
  const notes = ['durable: each call is on the disk (fsync) when its promise resolves; one process'];
  const of = async (what: string, layout: string, count: number, least?: number): Promise<Measurement> => {
    const figures = await compare([contestant(layout, count)], { runs, warmups: 0 });
    const checks = least === undefined ? [] : [atLeastSo(least, figures)];
    return { what, unit: 'tasks/s', better: 'higher', runs, figures, checks, notes };
  };
  return [
    await of('added, fetched and returned one by one, 64 at a time', 'one by one', oneByOne, 5_000),
    await of('the same, 1,000 in a call', 'bulk', bulk, 30_000),
    await of('the same one by one, 1 at a time', 'single', single),
  ];
}

function contestant(layout: string, count: number) {
  const run = async () => {
    const { stdout } = await promisify(execFile)(nodeWithSqlite, [program, layout, `${count}`]);
    return Number(stdout);
  };
  return { name: 'taskwarden', run };
}

function atLeastSo(limit: number, figures: readonly Figure[]): Check {
  const measured = medianOf(figures, 'taskwarden');
  return {
    target: `>= ${formatCount(limit)} tasks/s`,
    measured: `${formatCount(Math.round(measured))} tasks/s`,
    holds: measured >= limit,
  };
}
