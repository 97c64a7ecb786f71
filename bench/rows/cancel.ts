/** Row 8: what it costs to cancel a waiting task, wherever it is. Each run is a process of its own. */
import { type Contestant, compare, type Figure, figure, formatCount, type Measurement, type Pace } from '../measure.ts';
import { apart } from '../program.ts';
import { growthAtMost, growthNote } from '../waiting/growth.ts';
import { type Place, places } from '../waiting/place.ts';
import { few, manyIn } from '../waiting/pools.ts';

const program = new URL('../waiting/cancel.ts', import.meta.url);
const sizes = { full: { runs: 5 }, quick: { runs: 1 } };
const libraries = ['taskwarden', 'piscina', 'tinypool', 'workerpool'];

export async function measure(pace: Pace): Promise<Measurement[]> {
  const { runs } = sizes[pace];
  const ofFew = libraries.map((name) => new Canceling(name, few));
  const ofMany = libraries.map((name) => new Canceling(name, manyIn(name, pace)));
  await compare([...ofFew, ...ofMany], { runs, warmups: 0 });
  return places.map((place) => {
    const figuresOf = (all: readonly Canceling[]) => all.map((each) => each.figureOf(place));
    return measurement(runs, place, figuresOf(ofFew), figuresOf(ofMany));
  });
}

function measurement(runs: number, place: Place, ofFew: readonly Figure[], ofMany: readonly Figure[]): Measurement {
  return {
    what: place === 'random' ? 'any of those that wait' : `the ${place} of those that wait`,
    unit: 'µs a cancel',
    better: 'lower',
    runs,
    figures: ofMany,
    checks: [growthAtMost(2, ofFew, ofMany)],
    notes: [growthNote(ofFew, ofMany)],
  };
}

class Canceling implements Contestant {
  readonly name: string;
  readonly settings: string;
  readonly #waiting: number;
  readonly #costs: Record<Place, number>[] = [];

  constructor(name: string, waiting: number) {
    this.name = name;
    this.settings = `${formatCount(waiting)} waiting`;
    this.#waiting = waiting;
  }

  /** Gives the mean of all places. */
  async run(): Promise<number> {
    const costs = await apart<Record<Place, number>>(program, this.name, String(this.#waiting));
    this.#costs.push(costs);
    return places.reduce((sum, place) => sum + costs[place] / places.length, 0);
  }

  figureOf(place: Place): Figure {
    return figure(
      this.name,
      this.settings,
      this.#costs.map((costs) => costs[place]),
    );
  }
}
