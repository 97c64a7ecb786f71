/** Where in a queue a task is that will be canceled. */
export type Place = 'first' | 'middle' | 'last' | 'random';

export const places: readonly Place[] = ['first', 'middle', 'last', 'random'];

/** Picks so many tasks of each place; the same ones in each run. */
export function placesIn(depth: number, each: number): Map<number, Place> {
  const chosen = new Map<number, Place>();
  for (let n = 0; n < each; n += 1) {
    chosen.set(n, 'first');
    chosen.set(Math.floor(depth / 2) + n, 'middle');
    chosen.set(depth - 1 - n, 'last');
  }
  let state = 1;
  for (let left = each; left > 0; ) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    const position = Math.floor((depth * state) / 2 ** 32);
    if (chosen.has(position)) continue;
    chosen.set(position, 'random');
    left -= 1;
  }
  return chosen;
}
