/** How much more something costs when very many tasks wait than when a thousand do. */

import { type Check, type Contestant, type Figure, formatCount, formatNumber, medianOf } from '../measure.ts';
import { apart } from '../program.ts';

/** A program of this folder with one library, and so many tasks that wait in it. */
export function waitingIn(program: URL, name: string, waiting: number): Contestant {
  return {
    name,
    settings: `${formatCount(waiting)} waiting`,
    run: () => apart<number>(program, name, String(waiting)),
  };
}

export function growthAtMost(limit: number, ofFew: readonly Figure[], ofMany: readonly Figure[]): Check {
  const growth = medianOf(ofMany, 'taskwarden') / medianOf(ofFew, 'taskwarden');
  return { target: `<= ${limit} x that with 1,000`, measured: `${formatNumber(growth)} x`, holds: growth <= limit };
}

export function growthNote(ofFew: readonly Figure[], ofMany: readonly Figure[]): string {
  const growths = ofMany.map(({ name, median }) => `${name} ${formatNumber(median / medianOf(ofFew, name))} x`);
  return `against 1,000 waiting: ${growths.join(', ')}`;
}
