/** Row 9. Each contestant has a process of its own. */
import {
  atMost,
  type Contestant,
  compare,
  formatCount,
  heat,
  heatSettings,
  type Measurement,
  type Pace,
} from '../measure.ts';
import { processContestant } from '../process-contestant.ts';

const program = new URL('../transfer/contestant.ts', import.meta.url);
const sizes = { full: { trips: 3_000, runs: 5 }, quick: { trips: 200, runs: 3 } };

export async function measure(pace: Pace): Promise<Measurement[]> {
  const { trips, runs } = sizes[pace];
  const contestant = (name: string, settings: string, setting = ''): Contestant =>
    processContestant({ name, settings, program, args: [name, String(trips), setting] });
  const piscina = (atomics: string) => contestant('piscina', `transferList, move(), atomics ${atomics}`, atomics);
  const tinypool = (useAtomics: string) =>
    contestant('tinypool', `transferList, move(), useAtomics ${useAtomics}`, useAtomics);
  const piscinaHeat = await heat(heatSettings(pace, ['sync', 'disabled']), piscina, 'lower');
  const tinypoolHeat = await heat(heatSettings(pace, ['true', 'false']), tinypool, 'lower');
  const contestants = [
    contestant('taskwarden', 'option transfer, transferred()'),
    piscina(piscinaHeat.best),
    tinypool(tinypoolHeat.best),
    contestant('workerpool', 'option transfer, Transfer'),
    contestant('bare postMessage', 'transfer list'),
  ];
  const figures = await compare(contestants, { runs });
  return [
    {
      what: `${formatCount(trips)} trips, one by one`,
      unit: 'µs a trip',
      better: 'lower',
      runs,
      figures,
      checks: [atMost(1.2, 'bare postMessage', figures)],
      notes: [
        ...piscinaHeat.notes,
        ...tinypoolHeat.notes,
        'poolifier transfers only to a thread, jest-worker not at all',
      ],
    },
  ];
}
