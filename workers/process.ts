/**
 * The program of a child. Functions run in its main thread, which also reads what it has to do; beside it, the guard reads
 * what concerns tasks that may run already, so that a function that blocks the thread can still be asked to stop. Replies
 * are written synchronously, so the death of the child loses none.
 */
import { writeSync } from 'node:fs';
import { Socket } from 'node:net';
import {
  isMainThread,
  MessageChannel,
  type MessagePort,
  receiveMessageOnPort,
  Worker,
  workerData,
} from 'node:worker_threads';
import { ControlBlock } from '../src/lanes/wire/control-block.ts';
import { decodeThrown, encodeThrown, type WireThrown } from '../src/lanes/wire/error-codec.ts';
import {
  deserialize,
  type FrameKind,
  FrameReader,
  frame,
  isSerializable,
  noteBytes,
  noteFile,
  readBack,
  replyPipe,
  serialize,
  textAfter,
  textFrame,
  times,
  workPipe,
} from '../src/lanes/wire/frames.ts';
import { jsonOf, runFromJson } from '../src/lanes/wire/json-text.ts';
import type { HostMessage, HostReply, ProcessStart } from '../src/lanes/wire/protocol.ts';
import { Buffer } from '../src/platform/globals.ts';
import { becomeHost } from '../src/task/definition/load-phase.ts';
import { type Forwarded, Guard, type GuardStart } from './guard.ts';
import { HostRuntime } from './host-runtime.ts';
import { lowerPriority } from './system-priority.ts';
import { isTakenBack } from './taken-back.ts';
import { writeAll } from './write-all.ts';

/** How much is read at once. */
const chunkBytes = 65_536;

function run(): void {
  leaveChannel();
  process.on('SIGINT', () => {}); // Ctrl-C is sent to the whole process group, but the lane decides what it means
  becomeHost();
  /** One for each slot, once it is known how many there are. */
  let runtimes: readonly HostRuntime[] = [];
  const receive = (slot: number, body: Buffer) => {
    let message: unknown;
    try {
      message = deserialize(body);
    } catch (error) {
      runtimes[slot]?.onUnreadable(error);
      return;
    }
    if (runtimes.length === 0) runtimes = begin(message as ProcessStart, receive);
    else runtimes[slot]?.receive(message as HostMessage);
  };
  const reader = new FrameReader();
  // Into the same memory each time: otherwise new memory is allocated for each chunk.
  const buffer = Buffer.alloc(chunkBytes);
  const callback = (bytes: number) => {
    for (const { kind, slot, body } of reader.push(buffer.subarray(0, bytes))) {
      if (kind === 'run') runtimes[slot]?.receive(runFromJson(textAfter(0, body)));
      else receive(slot, body);
    }
    return true;
  };
  const options = { fd: workPipe, onread: { buffer, callback } };
  const work = new Socket(options);
  work.resume(); // else it would not close
  work.on('error', () => {}); // 'close' follows
  work.on('close', () => void (runtimes[0] === undefined ? process.exit(0) : runtimes[0].end()));
}

/** @param receive Called with what the guard forwards. */
function begin(
  { slots, hasNotes, ...rest }: ProcessStart,
  receive: (slot: number, body: Buffer) => void,
): HostRuntime[] {
  const controls = Array.from({ length: slots }, (_, slot) => new ChildControl(slot, hasNotes));
  const port = startGuard(controls);
  lowerPriority(rest.nice);
  const onForwarded = ({ slot, body }: Forwarded) => receive(slot, Buffer.from(body.buffer));
  const poll = () => {
    const received = receiveMessageOnPort(port) as { message: Forwarded } | undefined;
    if (received !== undefined) onForwarded(received.message);
    return received !== undefined;
  };
  const runtimes = controls.map(
    (control) => new HostRuntime({ post: (reply) => control.post(reply), poll, readBack, control, ...rest }),
  );
  process.on('uncaughtExceptionMonitor', (error) => {
    if (process.listenerCount('uncaughtException') === 0) runtimes[0]?.crash(error); // else the module handles it
  });
  port.on('message', onForwarded);
  write(frame('up'));
  return runtimes;
}

/** Returns the port on which it forwards. */
function startGuard(controls: readonly ControlBlock[]): MessagePort {
  const { port1, port2: port } = new MessageChannel();
  const start: GuardStart = { port, controls: controls.map(({ buffer }) => buffer) };
  const guard = new Worker(process.argv[1] as string, { workerData: start, transferList: [port], execArgv: [] });
  guard.on('error', (error) => {
    throw error;
  });
  return port1;
}

/** Removes the channel of Node: the lane uses other pipes, and programs take a `process.send` for a sign that somebody listens. */
function leaveChannel(): void {
  process.disconnect();
  for (const property of ['send', 'disconnect', 'channel'] as const) Reflect.deleteProperty(process, property);
}

/**
 * The control block of a slot, which the child shares with its guard. The lane can't see it, so each change is sent as a
 * frame.
 */
class ChildControl extends ControlBlock {
  readonly #slot: number;
  readonly #hasNotes: boolean;
  /** No item of the batch has begun. */
  #isFirst = true;
  /** The batch may be taken back until it begins. */
  #isAhead = false;
  /** The item that has ended, and when: told together with its outcome, which is the next reply. */
  #ended: { readonly item: number; readonly at: number } | undefined;

  constructor(slot: number, hasNotes: boolean) {
    super();
    this.#slot = slot;
    this.#hasNotes = hasNotes;
  }

  override beginBatch(isAhead: boolean): void {
    this.#isFirst = true;
    this.#isAhead = isAhead;
  }

  override beginLoading(isSetup = false): void {
    super.beginLoading(isSetup);
    write(this.#frame('loading', isSetup ? 1 : 0));
  }

  /** Only the first begin of a batch is sent: an `ended` frame implies the begin of its own item. */
  override begin(item: number, at: number): boolean {
    if (!super.begin(item, at)) return false;
    if (this.#isFirst) this.#tellBegun(item, at);
    this.#isFirst = false;
    if (!this.#isAhead || !isTakenBack(this.#slot, item)) return true;
    super.finishByMessage(item, at); // it is over
    return false;
  }

  /** A note takes a tenth of the time of a frame, which wakes the lane. */
  #tellBegun(item: number, at: number): void {
    if (!this.#hasNotes) write(this.#frame('begun', item, times(at)));
    else writeSync(noteFile, times(item, at), 0, noteBytes, this.#slot * noteBytes);
  }

  /** The lane can't read results here, so all are posted. */
  override finish(): boolean {
    return false;
  }

  override finishByMessage(item: number, at: number, hasPosted: boolean): void {
    super.finishByMessage(item, at, hasPosted);
    this.#ended = { item, at };
  }

  post(reply: HostReply): void {
    write(this.#returnedFrame(reply) ?? [...this.#endedFrame(), ...this.#frame('reply', 0, serializeReply(reply))]);
    this.#ended = undefined;
  }

  /** Undefined if the reply is no result, or one that has no JSON. */
  #returnedFrame(reply: HostReply): Buffer[] | undefined {
    if (reply.kind !== 'result' || this.#ended === undefined) return undefined;
    const text = reply.value === undefined ? '' : jsonOf(reply.value);
    const { item, at } = this.#ended;
    return text === undefined ? undefined : textFrame('returned', item, [this.begunAt(item), at], text, this.#slot);
  }

  #endedFrame(): Buffer[] {
    if (this.#ended === undefined) return [];
    const { item, at } = this.#ended;
    return this.#frame('ended', item, times(this.begunAt(item), at));
  }

  #frame(kind: FrameKind, number: number, body?: Buffer): Buffer[] {
    return frame(kind, number, body, this.#slot);
  }
}

/** Throws for a result that can't be sent. An error is sent without the parts that can't. */
function serializeReply(reply: HostReply): Buffer {
  const hasError = 'error' in reply || (reply.kind === 'task-message' && reply.message.thrown !== undefined);
  try {
    const body = serialize(reply);
    if (hasError) deserialize(body); // an error may be writable, but not readable
    return body;
  } catch (problem) {
    if (!hasError) throw problem;
    return serialize(withPlainError(reply));
  }
}

function withPlainError(reply: HostReply): HostReply {
  const plain = (error: WireThrown) => encodeThrown(decodeThrown(error), isSerializable);
  if ('error' in reply) return { ...reply, error: plain(reply.error) };
  if (reply.kind !== 'task-message' || reply.message.thrown === undefined) return reply;
  return { ...reply, message: { ...reply.message, thrown: plain(reply.message.thrown) } };
}

function write(parts: readonly Buffer[]): void {
  writeAll(parts, (part, offset, length) => writeSync(replyPipe, part, offset, length));
}

if (isMainThread) run();
else new Guard(workerData as GuardStart).watch();
