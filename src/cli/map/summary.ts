/** The summary that `map` prints at the end: how many inputs are done, how fast, and what failed. */
import { shorten, showDuration, showRate } from './figures.ts';
import { errorFields } from './json-line.ts';
import type { Failure, Tally } from './tally.ts';

export function summarize(tally: Tally, wasStopped: boolean): string {
  const { done, total, failed, elapsedMs, perSecond } = tally;
  const count = wasStopped && total !== undefined ? `${done} of ${total}` : `${done}`;
  return withFailures(
    tally,
    `${wasStopped ? 'stopped: ' : ''}${count} done` +
      `${failed > 0 ? `, ${failedOf(done, failed)},` : ''} in ${showDuration(elapsedMs)} (${showRate(perSecond)})${skippedOf(tally)}`,
  );
}

/** The summary of a dry run. */
export function summarizeDryRun(tally: Tally): string {
  const { done, failed } = tally;
  return withFailures(tally, `${done} would run${failed > 0 ? `, ${failedOf(done, failed)}` : ''}${skippedOf(tally)}`);
}

function withFailures({ failed, failures }: Tally, firstLine: string): string {
  const lines = [firstLine, ...failures.map(describeFailure)];
  if (failed > failures.length) lines.push(`  and ${failed - failures.length} more`);
  return `${lines.join('\n')}\n`;
}

function skippedOf({ skipped }: Tally): string {
  return skipped > 0 ? `; ${skipped} more ${skipped === 1 ? 'was' : 'were'} done before` : '';
}

function failedOf(done: number, failed: number): string {
  if (failed < done) return `${failed} of them failed`;
  return done === 1 ? 'and it failed' : 'all of them failed';
}

function describeFailure({ index, input, error }: Failure): string {
  const { name, message, code } = errorFields(error);
  const [firstLine = ''] = message.split('\n');
  const what = code === undefined ? name : `${name} ${code}`;
  return `  input ${index} (${shorten(JSON.stringify(input), 60)}): ${what}: ${shorten(firstLine, 200)}`;
}
