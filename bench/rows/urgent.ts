/** Row 5: how long a high task waits. Each contestant has a process of its own. */
import { iterationsPerMs } from '../cpu-work.ts';
import {
  atMost,
  compare,
  formatCount,
  formatNumber,
  heat,
  heatSettings,
  type Measurement,
  medianOf,
  type Pace,
} from '../measure.ts';
import { processContestant } from '../process-contestant.ts';
import type { UrgentWork } from '../urgent/contestant.ts';

const program = new URL('../urgent/contestant.ts', import.meta.url);
const sizes = {
  full: { lowTasks: 100_000, highTasks: 200, runs: 5 },
  quick: { lowTasks: 20_000, highTasks: 60, runs: 1 },
};
const lowMs = 20;
const reserveHigh = 1;
/** Of threads for low tasks, where a library knows that. The one that usually does best comes first. */
const niceValues = [10, 0];
const limitMs = 1.5;

export async function measure(pace: Pace): Promise<Measurement[]> {
  const iterations = lowMs * (await iterationsPerMs());
  const measurements = [];
  for (const threads of [2, 3]) measurements.push(await measureUrgent(pace, threads, iterations));
  return measurements;
}

async function measureUrgent(pace: Pace, threads: number, iterations: number): Promise<Measurement> {
  const { lowTasks, highTasks, runs } = sizes[pace];
  const contestant = (name: string, text: string, nice = 0) => {
    const work: UrgentWork = { threads, reserveHigh, lowTasks, iterations, highTasks, nice };
    return processContestant({ name, settings: text, program, args: [name, JSON.stringify(work)] });
  };
  const slots = `poolSize ${threads - reserveHigh}, reserveHigh ${reserveHigh}`;
  const taskwarden = (nice: number) => contestant('taskwarden', `${slots}, nice ${nice}`, nice);
  const { best, notes } = await heat(heatSettings(pace, niceValues), taskwarden, 'lower');
  const contestants = [
    taskwarden(best),
    contestant('piscina', `maxThreads ${threads}, a taskQueue with priorities, stricterFIFO`),
    contestant('jest-worker', `numWorkers ${threads}, its PriorityQueue`),
  ];
  const figures = await compare(contestants, { runs, warmups: pace === 'full' ? 1 : 0 });
  const waitMs = medianOf(figures, 'taskwarden');
  return {
    what: `${threads} threads, ${formatCount(highTasks)} high tasks behind ${formatCount(lowTasks)} low ones`,
    ...(threads === 2 ? { chart: 'Wait of a high task behind very many low ones' } : {}),
    unit: 'ms, p99',
    better: 'lower',
    runs,
    figures,
    checks: [
      { target: `< ${limitMs} ms`, measured: `${formatNumber(waitMs)} ms`, holds: waitMs < limitMs },
      atMost(0.05, 'piscina', figures),
    ],
    notes: [
      ...notes,
      'poolifier has priorities, too, but behind 10,000 low tasks its high one had not begun after 40 s',
    ],
  };
}
