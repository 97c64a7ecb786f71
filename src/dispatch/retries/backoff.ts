/** The pause before a retry: exponential, with full jitter, capped. */

export const longestPauseMs = 30_000;

/**
 * A random time in milliseconds, of up to `baseMs` times 2 to the power of the earlier failures.
 * https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
 * @param failures How often the task has failed, from 1.
 */
export function backoffMs(baseMs: number, failures: number, random: () => number = Math.random): number {
  return random() * Math.min(longestPauseMs, baseMs * 2 ** Math.min(failures - 1, 1_000));
}
