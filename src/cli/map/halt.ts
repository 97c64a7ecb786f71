/** `--halt`: a run that ends before all its inputs are done, in the words of GNU parallel. */
import { UsageError } from '../usage-error.ts';
import type { Tally } from './tally.ts';

export interface Halt {
  /** `now` also stops what runs, `soon` lets it finish. */
  readonly when: 'now' | 'soon';
  readonly why: 'fail' | 'success' | 'done';
  readonly count: number;
  /** The count is a percentage of all inputs. */
  readonly isPercentage: boolean;
}

/**
 * Undefined: never.
 * @throws UsageError
 */
export function parseHalt(text: string): Halt | undefined {
  if (text === 'never') return undefined;
  const [, when, why, number, percent] = /^(now|soon),(fail|success|done)=(\d+)(%?)$/.exec(text) ?? [];
  const count = Number(number);
  const isPercentage = percent === '%';
  if (when === undefined || count < 1 || (isPercentage && count > 100)) {
    throw new UsageError(
      "--halt must be 'never', or 'now' or 'soon' with a count from 1 or a percentage to 100, such as 'soon,fail=3', " +
        `'now,success=1' or 'soon,done=50%'; got '${text}'`,
    );
  }
  return { when, why, count, isPercentage } as Halt;
}

/** The total must be known if it is a percentage. */
export function isReached({ why, count, isPercentage }: Halt, { done, failed, total = 0 }: Tally): boolean {
  const counts = { fail: failed, success: done - failed, done };
  return counts[why] >= (isPercentage ? Math.ceil((total * count) / 100) : count);
}

/** What has happened, once it is reached. */
export function describeHalt({ when, why, count, isPercentage }: Halt): string {
  const verb = { fail: 'failed', success: 'succeeded', done: 'ended' }[why];
  const what = isPercentage ? `${count}% of the inputs have` : count === 1 ? 'an input has' : `${count} inputs have`;
  return `${what} ${verb} (--halt ${when},${why}=${count}${isPercentage ? '%' : ''})`;
}
