/**
 * Frames on the pipes between a lane and a child: their kinds, how they are written, and how they are cut out of the stream.
 * A frame has a length, a kind, a slot, a number (of the item that it is about), a checksum of all these, and a body. Other
 * code in the child can write to the pipes, too: what is not a frame fails the check.
 * A body is serialized like the structured clone, and refused where that refuses.
 */
import { Deserializer, Serializer } from 'node:v8';
import { Buffer } from '../../platform/globals.ts';

const kinds = [
  // From the lane: a message for the child; a batch, in JSON; a request to stop an item, or, if it has not begun, to let it be; a request to
  // give back all items from that one on, of those in the body.
  'message',
  'run',
  'stop',
  'cancel',
  'recall',
  // From the child: it is up; it loads a definition; it has begun, or ended, an item, at the times in the body; the same, and
  // after the times the result in JSON; a reply; which items will never begin, and which one runs.
  'up',
  'loading',
  'begun',
  'ended',
  'returned',
  'reply',
  'recalled',
] as const;

export type FrameKind = (typeof kinds)[number];

export interface Frame {
  readonly kind: FrameKind;
  readonly slot: number;
  readonly number: number;
  /** Valid only until the next chunk is read. */
  readonly body: Buffer;
}

/** The answer to a recall, or to the cancel of an item that had not begun. */
export interface Recalled {
  /** The items that will never begin. */
  readonly items: readonly number[];
  readonly running?: { readonly item: number; readonly at: number };
}

/** The pipes of a child, as file descriptors: between lane and guard; for the replies of the child; for what it has to do. */
export const guardPipe = 3;
export const replyPipe = 4;
export const workPipe = 5;
/** The file descriptor of the file in which a child may note what it has begun: for each slot an item, and the time. */
export const noteFile = 6;
const timeBytes: number = Float64Array.BYTES_PER_ELEMENT;
export const noteBytes: number = 2 * timeBytes;

/**
 * What the lane answers, in one byte, when a child has begun an item that was sent ahead. While it is `asked`, it reads whether
 * the child has; then the item is `left` to the child, or `takenBack`. 0: it does not want the item back.
 */
export const answers = { asked: 1, left: 2, takenBack: 3 } as const;
/** How many items of a slot have an answer in the file at the same time. */
export const answerRing = 1024;

/** Where the answer for an item stands in the file: behind the notes of all slots that a child may have. */
export function answerAt(slot: number, item: number): number {
  return (noteBytes << slotBits) + slot * answerRing + (item % answerRing);
}

/** Four bytes of length, two of kind and slot, six of number, four of checksum. */
const headerBytes = 16;
const [kindAt, numberAt, checkAt] = [4, 6, 12] as const;
const kindBits = 4;
const slotBits = 16 - kindBits;
const longestBody: number = 2 ** 32 - 1;
const noBody: Buffer = Buffer.alloc(0);

/** Taken when this module loads, because tasks may replace it. */
const { imul } = Math;

/**
 * A frame, in the parts that are to be written one after the other.
 * @throws RangeError if the body is too long.
 */
export function frame(kind: FrameKind, number = 0, body: Buffer = noBody, slot = 0): Buffer[] {
  const { length } = body;
  if (length > longestBody) {
    throw new RangeError(`its copy takes ${length} bytes, and a child can take or give ${longestBody} at once`);
  }
  const header = Buffer.allocUnsafe(headerBytes);
  writeHeader(header, length, kind, number, slot);
  return length === 0 ? [header] : [header, body];
}

/** A frame whose body is times and a text, in one part. */
export function textFrame(
  kind: FrameKind,
  number: number,
  begin: readonly number[],
  text: string,
  slot: number,
): Buffer[] {
  const textAt = headerBytes + begin.length * timeBytes;
  const data = Buffer.allocUnsafe(textAt + Buffer.byteLength(text));
  writeHeader(data, data.length - headerBytes, kind, number, slot);
  for (const [index, time] of begin.entries()) data.writeDoubleLE(time, headerBytes + index * timeBytes);
  data.write(text, textAt);
  return [data];
}

function writeHeader(header: Buffer, length: number, kind: FrameKind, number: number, slot: number): void {
  header.writeUInt32LE(length, 0);
  header.writeUInt16LE((slot << kindBits) | kinds.indexOf(kind), kindAt);
  header.writeUIntLE(number, numberAt, 6);
  header.writeUInt32LE(checkOf(header), checkAt);
}

/** Of what stands before it in a header. */
function checkOf(header: Buffer): number {
  let check = imul(header.readUInt32LE(0) ^ 0x7a5c7a5c, 0x9e3779b1);
  check = imul(check ^ header.readUInt32LE(4), 0x85ebca77) ^ (check >>> 15);
  check = imul(check ^ header.readUInt32LE(8), 0xc2b2ae3d) ^ (check >>> 15);
  return check >>> 0;
}

/** Throws if something in the value can't be cloned. */
export function serialize(value: unknown): Buffer {
  const serializer = new Serializer();
  serializer.writeHeader();
  serializer.writeValue(value);
  return serializer.releaseBuffer();
}

/** Unlike a thread, a child can't get shared memory, or objects that Node clones in a special way. */
export function isSerializable(value: unknown): boolean {
  try {
    readBack(value);
    return true;
  } catch {
    return false;
  }
}

/** A value as the other side reads it. Throws if it can't be written, or read. */
export function readBack(value: unknown): unknown {
  return deserialize(serialize(value));
}

export function deserialize(body: Buffer): unknown {
  const deserializer = new Deserializer(body);
  deserializer.readHeader();
  return deserializer.readValue();
}

export function times(...values: readonly number[]): Buffer {
  const body = Buffer.allocUnsafe(values.length * timeBytes);
  for (let index = 0; index < values.length; index += 1) body.writeDoubleLE(values[index] as number, index * timeBytes);
  return body;
}

export function timeAt(body: Buffer, index: number): number {
  return body.readDoubleLE(index * timeBytes);
}

/** What follows so many times. */
export function textAfter(timesBefore: number, body: Buffer): string {
  return body.toString('utf8', timesBefore * timeBytes);
}

/** Cuts the frames out of a stream. Throws at anything else; nothing after that can be read. */
export class FrameReader {
  /** The beginning of an incomplete frame. */
  #rest: Buffer = noBody;
  /** An incomplete body, and how much of it has arrived. */
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
      const header = data.subarray(at, at + headerBytes);
      const end = at + headerBytes + bodyLengthIn(header);
      if (end > data.length) break;
      yield frameOf(header, data.subarray(at + headerBytes, end));
      at = end;
    }
    this.#keep(data.subarray(at));
  }

  /** Adds to an incomplete body. Returns the rest of the chunk, or undefined if the body is still incomplete. */
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
    const header = Buffer.from(data.subarray(0, headerBytes));
    const body = Buffer.allocUnsafeSlow(bodyLengthIn(header));
    this.#long = { header, body, length: data.copy(body, 0, headerBytes) };
  }
}

function bodyLengthIn(header: Buffer): number {
  if (header.readUInt32LE(checkAt) !== checkOf(header)) {
    throw new Error(
      `it is no frame; file descriptors ${guardPipe} to ${workPipe} of a child are taken: write nothing there`,
    );
  }
  return header.readUInt32LE(0);
}

function frameOf(header: Buffer, body: Buffer): Frame {
  const kindAndSlot = header.readUInt16LE(kindAt);
  const number = header.readUIntLE(numberAt, 6);
  const kind = kinds[kindAndSlot & ((1 << kindBits) - 1)];
  if (kind === undefined) throw new Error(`there is no frame of that kind: ${kindAndSlot}`);
  return { kind, slot: kindAndSlot >> kindBits, number, body };
}
