/** Row 8: what it costs to cancel a waiting task, wherever it is. Each run is a process of its own. */
import { apart } from '../apart.ts';
import { type Contestant, compare, type Figure, figure, type Measurement, type Row } from '../measure.ts';
import { growthAtMost, growthNote } from '../waiting/growth.ts';
import { type Place, places } from '../waiting/place.ts';
import { few, many } from '../waiting/pools.ts';

const program = new URL('../waiting/cancel.ts', import.meta.url);
const runs = 5;
const libraries = ['taskwarden', 'piscina', 'tinypool', 'workerpool'];

export const cancel: Row = {
  number: 8,
  name: 'cancel',
  work: 'cancel of any one of 1,000,000 waiting tasks',
  measure: async () => {
    const ofFew = libraries.map((name) => new Canceling(name, few));
    const ofMany = libraries.map((name) => new Canceling(name, many[name] ?? few));
    await compare([...ofFew, ...ofMany], { runs, warmups: 0 });
    return places.map((place) =>
      measurement(
        place,
        ofFew.map((each) => each.figureOf(place)),
        ofMany.map((each) => each.figureOf(place)),
      ),
    );
  },
};

function measurement(place: Place, ofFew: readonly Figure[], ofMany: readonly Figure[]): Measurement {
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
    this.settings = `${waiting.toLocaleString('en-US')} waiting`;
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
