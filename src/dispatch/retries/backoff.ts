/** The pause before a retry: exponential, with full jitter, capped. */

export const longestPauseMs = 30_000;

/**
 * A random time of up to `baseMs` times 2 to the number of failures before this one.
 * https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
 * @param failures From 1.
 */
export function backoffMs(baseMs: number, failures: number, random: () => number = Math.random): number {
  return random() * Math.min(longestPauseMs, baseMs * 2 ** Math.min(failures - 1, 1_000));
}
