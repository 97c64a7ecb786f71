/** The summary that `map` prints at the end: how many inputs are done, how fast, and what failed. */
import { showDuration, showRate } from './figures.ts';
import { errorFields } from './json-line.ts';
import type { Failure, Tally } from './tally.ts';

export function summarize(tally: Tally, wasStopped: boolean): string {
  const { done, total, failed, failures, elapsedMs, perSecond } = tally;
  const count = wasStopped && total !== undefined ? `${done} of ${total}` : `${done}`;
  const lines = [
    `${wasStopped ? 'stopped: ' : ''}${count} done` +
      `${failed > 0 ? `, ${failedOf(done, failed)},` : ''} in ${showDuration(elapsedMs)} (${showRate(perSecond)})`,
    ...failures.map(describeFailure),
  ];
  if (failed > failures.length) lines.push(`  and ${failed - failures.length} more`);
  return `${lines.join('\n')}\n`;
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

function shorten(text: string, length: number): string {
  return text.length > length ? `${text.slice(0, length - 1)}…` : text;
}
