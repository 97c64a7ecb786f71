import { Writable } from 'node:stream';
import { expect, it } from 'vitest';
import { Output } from '../../src/cli/map/output.ts';

/** A stream that is full after each write, until it is drained. */
class FullStream extends Writable {
  written = '';
  drain = (): void => {};

  constructor() {
    super({ highWaterMark: 1, decodeStrings: false });
  }

  override _write(chunk: string, _encoding: BufferEncoding, done: () => void): void {
    this.written += chunk;
    this.drain = done;
  }
}

function open(stream: Writable, options: { ordered?: boolean; onBroken?: (error: Error) => void } = {}): Output {
  const { ordered = false, onBroken = (error) => expect.unreachable(error.message) } = options;
  return new Output(stream, { ordered, closes: true, onBroken });
}

async function isPending(promise: Promise<unknown>): Promise<boolean> {
  const pending = Symbol('pending');
  // All that could settle it by itself has had its turn by then.
  const turn = new Promise((resolve) => setImmediate(resolve, pending));
  return (await Promise.race([promise, turn])) === pending;
}

it('makes who writes wait until a full stream has room again', async () => {
  const stream = new FullStream();
  const output = open(stream);
  const first = output.put(0, 'a');
  const second = output.put(1, 'b');
  expect(await isPending(first)).toBe(true);
  stream.drain();
  expect(await isPending(first)).toBe(true); // 'b' is on its way
  stream.drain();
  await Promise.all([first, second]);
  expect(stream.written).toBe('ab');
});

it('listens to a full stream once, however many wait', async () => {
  const stream = new FullStream();
  const output = open(stream);
  for (let index = 0; index < 50; index += 1) void output.put(index, 'x');
  await new Promise(setImmediate);
  expect(stream.listenerCount('drain')).toBe(1);
});

it('holds back what comes before its turn, and leaves out what is undefined', async () => {
  const stream = new FullStream();
  const output = open(stream, { ordered: true });
  const puts = [output.put(2, 'c'), output.put(1, undefined), output.put(3, 'd')];
  expect(await isPending(Promise.race(puts))).toBe(true);
  expect(stream.written).toBe('');
  puts.push(output.put(0, 'a'));
  for (let line = 0; line < 3; line += 1) {
    await new Promise(setImmediate);
    stream.drain();
  }
  await Promise.all(puts);
  expect(stream.written).toBe('acd');
});

it('says once that the stream is broken, and lets go who waits for it', async () => {
  const stream = new FullStream();
  const problems: string[] = [];
  const output = open(stream, { onBroken: (error) => problems.push(error.message) });
  const waiting = output.put(0, 'a');
  stream.destroy(new Error('the pipe is gone'));
  await waiting;
  await output.put(1, 'b');
  await output.end();
  expect(problems).toEqual(['the pipe is gone']);
  expect(stream.written).toBe('a');
});
