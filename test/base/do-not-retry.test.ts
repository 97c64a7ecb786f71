import { expect, it } from 'vitest';
import { DoNotRetry } from '../../src/base/do-not-retry.ts';

it('takes over the message of its cause, and says something without one', () => {
  const cause = new RangeError('below zero');
  expect(new DoNotRetry(cause)).toMatchObject({ message: 'below zero', cause, retry: false });
  expect(new DoNotRetry('no address').message).toBe('no address');
  const bare = new DoNotRetry();
  expect(bare.message).toBe("another attempt can't succeed");
  expect(Object.hasOwn(bare, 'cause')).toBe(false);
});
