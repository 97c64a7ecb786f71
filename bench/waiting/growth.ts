/** How much more something costs when a million tasks wait than when a thousand do. */
import { type Check, type Figure, formatNumber, medianOf } from '../measure.ts';

export const few = 1_000;
export const many = 1_000_000;

export function growthAtMost(limit: number, ofFew: readonly Figure[], ofMany: readonly Figure[]): Check {
  const growth = medianOf(ofMany, 'taskwarden') / medianOf(ofFew, 'taskwarden');
  return {
    target: `<= ${limit} x that with ${few.toLocaleString('en-US')}`,
    measured: `${formatNumber(growth)} x`,
    holds: growth <= limit,
  };
}

export function growthNote(ofFew: readonly Figure[], ofMany: readonly Figure[]): string {
  const growths = ofMany.map(({ name, median }) => `${name} ${formatNumber(median / medianOf(ofFew, name))} x`);
  return `with ${many.toLocaleString('en-US')} by with ${few.toLocaleString('en-US')}: ${growths.join(', ')}`;
}
