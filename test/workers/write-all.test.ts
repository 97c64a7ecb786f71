/** What a child says is written whole, however little the system takes at once. */
import { describe, expect, it } from 'vitest';
import { writeAll } from '../../workers/write-all.ts';

/** A pipe that takes at most so many bytes at once. */
class Pipe {
  readonly asked: number[] = [];
  readonly #taken: Buffer[] = [];
  readonly #most: number;

  constructor(most = Infinity) {
    this.#most = most;
  }

  readonly write = (part: Buffer, offset: number, length: number): number => {
    this.asked.push(length);
    const end = offset + Math.min(length, this.#most);
    this.#taken.push(part.subarray(offset, end));
    return end - offset;
  };

  get text(): string {
    return Buffer.concat(this.#taken).toString();
  }
}

const parts = ['head', '', 'body'].map((text) => Buffer.from(text));

describe('writeAll()', () => {
  it('writes short parts in one go', () => {
    const pipe = new Pipe();
    writeAll(parts, pipe.write);
    expect(pipe.text).toBe('headbody');
    expect(pipe.asked).toEqual([8]);
  });

  it.each([1, 3, 7])('goes on where a pipe has taken %d bytes at once', (most) => {
    const pipe = new Pipe(most);
    writeAll(parts, pipe.write);
    expect(pipe.text).toBe('headbody');
  });

  it('writes what is longer than the system counts in slices, each byte once', () => {
    const long = Buffer.alloc(2 ** 31 + 5);
    const pipe = new Pipe();
    writeAll([Buffer.from('head'), long], (part, offset, length) => {
      pipe.asked.push(length);
      expect(offset + length).toBeLessThanOrEqual(part.length);
      return length;
    });
    expect(pipe.asked).toEqual([4, 2 ** 30, 2 ** 30, 5]);
  });

  it('waits where the pipe is full and does not block', () => {
    const pipe = new Pipe();
    let refusals = 2;
    writeAll(parts, (...args) => {
      refusals -= 1;
      if (refusals >= 0) throw Object.assign(new Error('try again'), { code: 'EAGAIN' });
      return pipe.write(...args);
    });
    expect(pipe.text).toBe('headbody');
  });

  it('throws what else goes wrong', () => {
    const closed = Object.assign(new Error('closed'), { code: 'EBADF' });
    expect(() =>
      writeAll(parts, () => {
        throw closed;
      }),
    ).toThrow(closed);
  });
});
