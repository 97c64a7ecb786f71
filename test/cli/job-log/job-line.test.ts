import { constants } from 'node:os';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { TaskwardenError } from '../../../src/base/errors.ts';
import { type EndedInput, formatJob, jobLogHeader, parseJob } from '../../../src/cli/map/job-log/job-line.ts';

const ended: EndedInput = {
  index: 4,
  text: 'a b',
  startedAt: 1_700_000_000_123,
  runMs: 1_234.7,
  resultLine: '{"index":4}\n',
  failure: undefined,
};

it('has the columns of GNU parallel, from 1 on, in seconds', () => {
  const line = formatJob('./a.ts#f', ended);
  expect(line).toBe('5\t:\t1700000000.123\t     1.235\t3\t12\t0\t0\t./a.ts#f "a b"\n');
  expect(line.split('\t')).toHaveLength(jobLogHeader.split('\t').length);
});

it.each([
  ['thrown', new Error('no'), 1, 0],
  ['thrown by itself', undefined, 1, 0],
  ['a time-out', new TaskwardenError('TASK_TIMEOUT', 'late', { timeoutMs: 5 }), 1, 0],
  ['an exit', new TaskwardenError('TASK_CRASHED', 'died', { exitCode: 7 }), 7, 0],
  ['an exit that says success', new TaskwardenError('TASK_CRASHED', 'died', { exitCode: 0 }), 1, 0],
  ['a death without a code', new TaskwardenError('TASK_CRASHED', 'died'), 1, 0],
  ['a signal', new TaskwardenError('TASK_CRASHED', 'died', { signal: 'SIGKILL' }), 0, constants.signals.SIGKILL],
])('has the exit code and signal of a failure, of which one is not 0: %s', (_, error, exitCode, signal) => {
  const columns = formatJob('f', { ...ended, failure: { error } }).split('\t');
  expect(columns.slice(6, 8).map(Number)).toEqual([exitCode, signal]);
  expect(parseJob(columns.join('\t').trimEnd())).toEqual({ index: 4, text: 'a b', hasFailed: true });
});

it('is one line that gives the input back, whatever is in it and in the name of the function', () => {
  const text = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 20 }),
    fc.string({ unit: fc.constantFrom(' ', '"', '\\', '\t', '\n', 'a') }),
  );
  fc.assert(
    fc.property(text, text, fc.nat(), (target, input, index) => {
      const line = formatJob(target, { ...ended, text: input, index });
      expect(line.indexOf('\n')).toBe(line.length - 1);
      expect(parseJob(line.slice(0, -1))).toEqual({ index, text: input, hasFailed: false });
    }),
  );
});

it.each([
  '',
  jobLogHeader,
  'a text',
  '5\t:\t1700000000.123\t     1.235\t3\t12\t0\t0\techo a',
  '5\t:\t1700000000.123\t     1.235\t3\t12\t0\t0\tf "a',
  '5\t:\t1700000000.123\t     1.235\t3\t12\t0\tf "a"',
  '0\t:\t1700000000.123\t     1.235\t3\t12\t0\t0\tf "a"',
  'x\t:\t1700000000.123\t     1.235\t3\t12\t0\t0\tf "a"',
])('is none that taskwarden has written: %j', (line) => {
  expect(parseJob(line)).toBeUndefined();
});
