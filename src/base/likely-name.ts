/**
 * Guesses which name was meant by an unknown one: a name that differs in case, in its unit, or by a typing error or
 * two.
 */

/** The name most similar to `name`; undefined if none is similar enough. */
export function likelyName(name: string, names: readonly string[]): string | undefined {
  const wanted = stemOf(name);
  let found: string | undefined;
  let least = Math.floor(wanted.length / 3) + 1;
  for (const candidate of names) {
    const slips = slipsBetween(wanted, stemOf(candidate), least);
    if (slips < least) [found, least] = [candidate, slips];
  }
  return found;
}

/** `timeout`, `Timeout` and `timeoutMs` have the same stem. */
function stemOf(name: string): string {
  return name.replace(/(?<=.)M[sb]$/, '').toLowerCase();
}

/** The edit distance: letters added, left out, changed, or swapped with the next one; at most `limit`. */
function slipsBetween(from: string, to: string, limit: number): number {
  if (Math.abs(from.length - to.length) >= limit) return limit;
  let before: number[] = [];
  let row = Array.from({ length: to.length + 1 }, (_, n) => n);
  for (let i = 1; i <= from.length; i += 1) {
    const next = [i];
    for (let j = 1; j <= to.length; j += 1) {
      const isSame = from[i - 1] === to[j - 1];
      const isSwap = i > 1 && j > 1 && from[i - 1] === to[j - 2] && from[i - 2] === to[j - 1];
      next[j] = Math.min(
        at(row, j) + 1,
        at(next, j - 1) + 1,
        at(row, j - 1) + (isSame ? 0 : 1),
        isSwap ? at(before, j - 2) + 1 : Infinity,
      );
    }
    [before, row] = [row, next];
  }
  return Math.min(at(row, to.length), limit);
}

function at(row: readonly number[], index: number): number {
  return row[index] as number;
}
