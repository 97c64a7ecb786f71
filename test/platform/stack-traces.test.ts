/** Where something was called, and errors without a stack, though programs change how `Error` takes stacks. */
import { afterEach, describe, expect, it } from 'vitest';
import { callSite, withoutStack } from '../../src/platform/stack-traces.ts';

const { stackTraceLimit, prepareStackTrace, captureStackTrace } = Error;

afterEach(() => {
  Object.assign(Error, { stackTraceLimit, prepareStackTrace, captureStackTrace });
});

function callee(): string {
  return callSite(callee);
}

function caller(): string {
  return callee();
}

const here = /^at caller \(.*stack-traces\.test\.ts:\d+:\d+\)$/;

describe('the place of a call', () => {
  it.each([
    ['nothing was changed', {}],
    ['no stacks are taken', { stackTraceLimit: 0 }],
    ['nothing captures them', { captureStackTrace: undefined }],
    ['the limit is no number', { stackTraceLimit: 'none' }],
    ['stacks are lists of call sites', { prepareStackTrace: (_: Error, sites: unknown) => sites }],
    ['stacks have no first line', { prepareStackTrace: (_: Error, sites: unknown[]) => sites.join('\n') }],
    [
      'the formatter fails',
      {
        prepareStackTrace: () => {
          throw Object.create(null);
        },
      },
    ],
  ])('is known where %s', (_, changes) => {
    Object.assign(Error, changes);
    const place = caller();
    const { stackTraceLimit: limit, prepareStackTrace: prepare } = Error;
    Object.assign(Error, { stackTraceLimit, prepareStackTrace });
    expect(place).toMatch(here);
    expect({ stackTraceLimit: limit, prepareStackTrace: prepare }).toEqual({
      stackTraceLimit,
      prepareStackTrace,
      ...changes,
    });
  });
});

it('makes errors without a stack, and leaves the limit as it was, also where that fails', () => {
  expect(withoutStack(() => new Error('none')).stack).toBe('Error: none');
  const fail = () => {
    throw new RangeError('no');
  };
  expect(() => withoutStack(fail)).toThrow(RangeError);
  expect(Error.stackTraceLimit).toBe(stackTraceLimit);
});
