import { inspect } from 'node:util';
import { expect, it } from 'vitest';
import { errorCodes, TaskwardenError } from '../../src/base/errors.ts';

it('is an error with a code, a message and the facts it was given', () => {
  const error = new TaskwardenError('TASK_TIMEOUT', 'too long', { taskId: 't', timeoutMs: 5 });
  expect(error).toBeInstanceOf(Error);
  expect({ ...error }).toEqual({ code: 'TASK_TIMEOUT', taskId: 't', timeoutMs: 5 });
  expect([error.message, String(error)]).toEqual(['too long', 'TaskwardenError: too long']);
});

it('shows its name in its stack and when it is inspected', () => {
  const error = new TaskwardenError('QUEUE_FULL', 'full');
  expect(inspect(error)).toContain('TaskwardenError: full');
  expect(inspect(error)).toContain("code: 'QUEUE_FULL'");
});

it('has no own property for a fact that is not known', () => {
  expect(Object.keys(new TaskwardenError('QUEUE_FULL', 'full'))).toEqual(['code']);
});

it('has a cause if it is given one, undefined too', () => {
  const cause = new Error('why');
  expect(new TaskwardenError('LANE_BROKEN', 'broken', { cause }).cause).toBe(cause);
  expect(Object.hasOwn(new TaskwardenError('LANE_BROKEN', 'broken', { cause: undefined }), 'cause')).toBe(true);
  expect(Object.hasOwn(new TaskwardenError('LANE_BROKEN', 'broken', {}), 'cause')).toBe(false);
  expect(Object.keys(new TaskwardenError('LANE_BROKEN', 'broken', { cause }))).toEqual(['code']);
});

it('is known to other copies of the package, and nothing else is', async () => {
  const copy: typeof import('../../src/base/errors.ts') = await import(`${'../../src/base/errors.ts'}?copy`);
  expect(copy.TaskwardenError).not.toBe(TaskwardenError);
  expect(new copy.TaskwardenError('QUEUE_FULL', 'full')).toBeInstanceOf(TaskwardenError);
  for (const other of [new Error('full'), { code: 'QUEUE_FULL' }, 'full', null, undefined]) {
    expect(other).not.toBeInstanceOf(TaskwardenError);
  }
});

it('can be extended, and is not what extends it', () => {
  class Extended extends TaskwardenError {}
  const extended = new Extended('QUEUE_FULL', 'full');
  expect(extended).toBeInstanceOf(Extended);
  expect(extended).toBeInstanceOf(TaskwardenError);
  expect(new TaskwardenError('QUEUE_FULL', 'full')).not.toBeInstanceOf(Extended);
});

it('each code is explained by a sentence', () => {
  for (const [code, text] of Object.entries(errorCodes)) {
    expect(code).toMatch(/^[A-Z]+(_[A-Z]+)+$/);
    expect(text).toMatch(/^.{10,}\.$/s);
  }
});
