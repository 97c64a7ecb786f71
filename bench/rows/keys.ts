/** Row 17: what limits by key cost, with few and with very many keys. Each run is a process of its own. */
import {
  type Contestant,
  compare,
  type Figure,
  formatCount,
  formatNumber,
  type Measurement,
  type Pace,
} from '../measure.ts';
import { apart } from '../program.ts';

const program = new URL('../keys/flood.ts', import.meta.url);
const sizes = { full: { runs: 5, tasks: 200_000, many: 100_000 }, quick: { runs: 1, tasks: 40_000, many: 20_000 } };
const limits = ['a key alone', 'maxPerKey', 'fair', 'rate', 'unique'];
const few = 100;
/** More than nothing: the memory of very many keys is out of the caches. */
const mostGrowth = 2;

export async function measure(pace: Pace): Promise<Measurement[]> {
  const { runs, tasks, many } = sizes[pace];
  const contestants = [few, many].flatMap((keys) => limits.map((limit) => withKeys(limit, keys, tasks)));
  const figures = await compare(contestants, { runs, warmups: 0 });
  const ofFew = figures.slice(0, limits.length);
  const ofMany = figures.slice(limits.length);
  return [
    {
      what: `${formatCount(many)} keys`,
      unit: 'µs of processor time a task',
      better: 'lower',
      runs,
      figures: ofMany,
      checks: ofMany.map(({ name, median }, index) => {
        const growth = median / (ofFew[index] as Figure).median;
        return {
          target: `${name}: <= ${mostGrowth} x that with ${few}`,
          measured: `${formatNumber(growth)} x`,
          holds: growth <= mostGrowth,
        };
      }),
      notes: [`with ${few} keys: ${ofFew.map(({ name, median }) => `${name} ${formatNumber(median)}`).join(', ')}`],
    },
  ];
}

function withKeys(limit: string, keys: number, tasks: number): Contestant {
  return {
    name: limit,
    settings: `${formatCount(keys)} keys`,
    run: () => apart<number>(program, limit, String(keys), String(tasks)),
  };
}
