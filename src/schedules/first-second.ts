/**
 * The first whole second after `from`, and not after `until`, at which the test is true, in milliseconds; undefined if there is
 * none. Once the test is true, it has to stay true.
 */
export function firstSecond(from: number, until: number, test: (at: number) => boolean): number | undefined {
  let low = Math.floor(from / 1_000);
  let high = Math.floor(until / 1_000);
  if (high <= low || !test(high * 1_000)) return undefined;
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    if (test(middle * 1_000)) high = middle;
    else low = middle;
  }
  return high * 1_000;
}
