/** Frames come out of a stream as they went in, however it was cut. */
import assert from 'node:assert/strict'; // for frames, of which there are many: expect() compares each byte of a buffer
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  deserialize,
  type FrameKind,
  FrameReader,
  frame,
  serialize,
  timeAt,
  times,
} from '../../src/lanes/wire/frames.ts';

const kinds: readonly FrameKind[] = [
  'message',
  'run',
  'stop',
  'cancel',
  'recall',
  'up',
  'loading',
  'begun',
  'ended',
  'returned',
  'reply',
  'recalled',
];

interface Sent {
  readonly kind: FrameKind;
  readonly slot: number;
  readonly number: number;
  readonly body: Buffer;
}

const anyFrame: fc.Arbitrary<Sent> = fc.record(
  {
    kind: fc.constantFrom(...kinds),
    slot: fc.nat({ max: 2 ** 12 - 1 }),
    number: fc.integer({ min: 0, max: 2 ** 48 - 1 }),
    body: fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes)),
  },
  { noNullPrototype: true },
);

function stream(frames: readonly Sent[]): Buffer {
  return Buffer.concat(frames.flatMap(({ kind, slot, number, body }) => frame(kind, number, body, slot)));
}

/** What a reader makes of the chunks. Bodies are copied: they are gone with the next chunk. */
function read(chunks: readonly Buffer[], reader = new FrameReader()): Sent[] {
  return chunks.flatMap((chunk) => {
    const own = Buffer.from(chunk);
    const frames = [...reader.push(own)].map((each) => ({ ...each, body: Buffer.from(each.body) }));
    own.fill(0xff); // as a socket does that uses its memory again
    return frames;
  });
}

/** At these places, each counted from the start. */
function cut(data: Buffer, places: readonly number[]): Buffer[] {
  const ends = [...places].sort((a, b) => a - b);
  return [...ends, data.length].map((end, index) => data.subarray(ends[index - 1] ?? 0, end));
}

describe('frames', () => {
  it('come out the same when they come in one chunk', () => {
    fc.assert(
      fc.property(fc.array(anyFrame), (frames) => {
        assert.deepEqual(read([stream(frames)]), frames);
      }),
    );
  });

  it('come out the same when the stream is cut in two at any byte', () => {
    fc.assert(
      fc.property(fc.array(anyFrame, { minLength: 1, maxLength: 4 }), (frames) => {
        const data = stream(frames);
        for (let at = 0; at <= data.length; at += 1) assert.deepEqual(read(cut(data, [at])), frames);
      }),
    );
  });

  it('come out the same when each byte comes alone', () => {
    fc.assert(
      fc.property(fc.array(anyFrame, { maxLength: 5 }), (frames) => {
        const data = stream(frames);
        assert.deepEqual(read(cut(data, [...data.keys()])), frames);
      }),
    );
  });

  it('come out the same when the stream is cut anyhow, also into nothing', () => {
    const cuts = fc.array(fc.nat({ max: 10_000 }), { maxLength: 30 });
    fc.assert(
      fc.property(fc.array(anyFrame, { maxLength: 20 }), cuts, (frames, places) => {
        const data = stream(frames);
        const inside = places.map((place) => place % (data.length + 1));
        assert.deepEqual(read(cut(data, inside)), frames);
      }),
    );
  });

  it('come out as soon as their last byte is there, and not before', () => {
    fc.assert(
      fc.property(anyFrame, (sent) => {
        const reader = new FrameReader();
        const data = stream([sent]);
        expect(read([data.subarray(0, -1)], reader)).toEqual([]);
        expect(read([data.subarray(-1)], reader)).toEqual([sent]);
      }),
    );
  });

  it('without a body are one part, and with one two, of which the body is not copied', () => {
    expect(frame('up')).toHaveLength(1);
    const body = Buffer.from('body');
    expect(frame('reply', 0, body)[1]).toBe(body);
  });

  it('that are many in one chunk come out in order', () => {
    const frames = Array.from({ length: 20_000 }, (_, number) => ({
      kind: kinds[number % kinds.length] as FrameKind,
      slot: number % 1_000,
      number,
      body: Buffer.from(number % 3 === 0 ? '' : `body ${number}`),
    }));
    assert.deepEqual(read([stream(frames)]), frames);
  });

  it('with a body of many chunks come out whole, and so do those around them', () => {
    const long = Buffer.alloc(5_000_000, 'a long body');
    const frames: Sent[] = [
      { kind: 'up', slot: 0, number: 1, body: Buffer.from('before') },
      { kind: 'recall', slot: 0, number: 2, body: long },
      { kind: 'message', slot: 0, number: 3, body: long.subarray(1) },
      { kind: 'stop', slot: 0, number: 4, body: Buffer.from('after') },
    ];
    const data = stream(frames);
    const chunkBytes = 65_536;
    const chunks = Array.from({ length: Math.ceil(data.length / chunkBytes) }, (_, index) =>
      data.subarray(index * chunkBytes, (index + 1) * chunkBytes),
    );
    const out = read(chunks);
    expect(out.map(({ kind, number }) => [kind, number])).toEqual(frames.map(({ kind, number }) => [kind, number]));
    expect(out.every(({ body }, index) => body.equals((frames[index] as Sent).body))).toBe(true);
  });

  it('in a stream that ends within one leave that one out', () => {
    const data = stream([
      { kind: 'up', slot: 0, number: 0, body: Buffer.alloc(0) },
      { kind: 'reply', slot: 0, number: 0, body: Buffer.from('cut off') },
    ]);
    expect(read([data.subarray(0, -3)])).toEqual([{ kind: 'up', slot: 0, number: 0, body: Buffer.alloc(0) }]);
  });
});

describe('what is in a frame', () => {
  it('is copied as the structured clone copies it', () => {
    const value = { map: new Map([[1, new Set(['x'])]]), date: new Date(0), big: 2n ** 70n, nothing: undefined };
    expect(deserialize(serialize(value))).toEqual(value);
  });

  it.each([
    ['a function', () => {}],
    ['shared memory', new SharedArrayBuffer(4)],
    ['a view of shared memory', new Int32Array(new SharedArrayBuffer(4))],
    ['a symbol', Symbol('s')],
  ])('can not be %s', (_, value) => {
    expect(() => serialize({ value })).toThrow();
  });

  it('keeps times as they are', () => {
    fc.assert(
      fc.property(fc.double({ noNaN: true }), fc.double({ noNaN: true }), (first, second) => {
        const body = times(first, second);
        expect([timeAt(body, 0), timeAt(body, 1)]).toEqual([first, second]);
      }),
    );
  });
});

describe('what is no frame', () => {
  it('is refused as soon as there is as much of it as a frame has at least', () => {
    const least = frame('up')[0]?.length as number;
    fc.assert(
      fc.property(fc.uint8Array({ minLength: least, maxLength: 60 }), (bytes) => {
        expect(() => read([Buffer.from(bytes)])).toThrow('it is no frame');
      }),
    );
  });

  it('is refused where one byte came between, before or after a frame, with the next at the latest', () => {
    const data = stream([{ kind: 'ended', slot: 0, number: 1, body: Buffer.from('body') }]);
    const next = stream([{ kind: 'up', slot: 0, number: 0, body: Buffer.from('') }]);
    for (let at = 0; at <= data.length; at += 1) {
      const spoiled = Buffer.concat([data.subarray(0, at), Buffer.from('x'), data.subarray(at), next]);
      expect(() => read([spoiled])).toThrow('it is no frame');
    }
  });

  it('is a body that is longer than a frame can have', () => {
    expect(() => frame('reply', 0, { length: 2 ** 32 } as Buffer)).toThrow(/4294967296 bytes/);
  });
});
