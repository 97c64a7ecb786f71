/**
 * Frames on the pipes between a lane and a child: what kinds there are, and how each is cut out of the stream again.
 * A frame has a length, a kind, a number (the item that it is about, or how many there are) and a body.
 * What is in a body is copied as the structured clone copies it, and refused where that refuses it.
 */
import { Deserializer, Serializer } from 'node:v8';

const kinds = [
  // From the lane: a message for the child; a batch of so many items; a request to stop an item, or, if it has not begun,
  // to let it be; a request to give back all items from that one on.
  'message',
  'run',
  'stop',
  'cancel',
  'recall',
  // From the child: it is up; it loads a definition; it has begun, or ended, an item, at the times in the body; a reply;
  // which items will never begin, and which one runs.
  'up',
  'loading',
  'begun',
  'ended',
  'reply',
  'recalled',
] as const;

export type FrameKind = (typeof kinds)[number];

export interface Frame {
  readonly kind: FrameKind;
  readonly number: number;
  /** Gone when the next chunk is read. */
  readonly body: Buffer;
}

/** The answer to a recall. */
export interface Recalled {
  /** Which batch it is about; the first is 1. */
  readonly batch: number;
  readonly items: readonly number[];
  readonly running?: { readonly item: number; readonly at: number };
}

/** The pipes of a child, as file descriptors: what the lane and the guard say to each other, and what the child says. */
export const guardPipe = 3;
export const replyPipe = 4;

const headerBytes = 9;
const noBody: Buffer = Buffer.alloc(0);

/** A frame, in the parts that are to be written one after the other. */
export function frame(kind: FrameKind, number = 0, body: Buffer = noBody): Buffer[] {
  const header = Buffer.allocUnsafe(headerBytes);
  header.writeUInt32LE(body.length, 0);
  header.writeUInt8(kinds.indexOf(kind), 4);
  header.writeUInt32LE(number, 5);
  return body.length === 0 ? [header] : [header, body];
}

/** Throws if something in the value can't be cloned. */
export function serialize(value: unknown): Buffer {
  const serializer = new Serializer();
  serializer.writeHeader();
  serializer.writeValue(value);
  return serializer.releaseBuffer();
}

/** Unlike a thread, a child is not given memory that is shared, nor live things that know how to be cloned. */
export function isSerializable(value: unknown): boolean {
  try {
    serialize(value);
    return true;
  } catch {
    return false;
  }
}

export function deserialize(body: Buffer): unknown {
  const deserializer = new Deserializer(body);
  deserializer.readHeader();
  return deserializer.readValue();
}

export function times(...values: readonly number[]): Buffer {
  return Buffer.from(Float64Array.from(values).buffer);
}

export function timeAt(body: Buffer, index: number): number {
  return body.readDoubleLE(index * Float64Array.BYTES_PER_ELEMENT);
}

export class FrameReader {
  /** What has come of a frame that is not all there. */
  #rest: Buffer = noBody;
  /** A long body whose frame has begun, and how much of it is there. */
  #long: { readonly header: Buffer; readonly body: Buffer; length: number } | undefined;

  *push(chunk: Buffer): Generator<Frame> {
    let data = this.#fill(chunk);
    if (data === undefined) return;
    if (this.#long !== undefined) {
      const { header, body } = this.#long;
      this.#long = undefined;
      yield frameOf(header, body);
    }
    if (this.#rest.length > 0) data = Buffer.concat([this.#rest, data]);
    this.#rest = noBody;
    let at = 0;
    while (data.length - at >= headerBytes) {
      const end = at + headerBytes + data.readUInt32LE(at);
      if (end > data.length) break;
      yield frameOf(data.subarray(at), data.subarray(at + headerBytes, end));
      at = end;
    }
    this.#keep(data.subarray(at));
  }

  /** Adds to a long body. Gives what is left of the chunk, or nothing if the body is still not complete. */
  #fill(chunk: Buffer): Buffer | undefined {
    const long = this.#long;
    if (long === undefined) return chunk;
    const copied = chunk.copy(long.body, long.length);
    long.length += copied;
    return long.length < long.body.length ? undefined : chunk.subarray(copied);
  }

  #keep(data: Buffer): void {
    if (data.length < headerBytes) {
      this.#rest = Buffer.from(data);
      return;
    }
    const body = Buffer.allocUnsafeSlow(data.readUInt32LE(0));
    const header = Buffer.from(data.subarray(0, headerBytes));
    this.#long = { header, body, length: data.copy(body, 0, headerBytes) };
  }
}

function frameOf(header: Buffer, body: Buffer): Frame {
  return { kind: kinds[header.readUInt8(4)] as FrameKind, number: header.readUInt32LE(5), body };
}
