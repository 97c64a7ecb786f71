/**
 * The program of a child. Functions run in its main thread; beside it, the guard reads what the lane sends, so that a
 * function that blocks the thread can still be asked to stop. Replies are written synchronously, so the death of the child
 * loses none.
 */
import { writeSync } from 'node:fs';
import { isMainThread, MessageChannel, receiveMessageOnPort, Worker, workerData } from 'node:worker_threads';
import { ControlBlock } from '../src/lanes/wire/control-block.ts';
import { decodeThrown, encodeThrown, type WireThrown } from '../src/lanes/wire/error-codec.ts';
import { deserialize, frame, isSerializable, readBack, replyPipe, serialize, times } from '../src/lanes/wire/frames.ts';
import type { HostMessage, HostReply, HostStart } from '../src/lanes/wire/protocol.ts';
import { Buffer } from '../src/platform/globals.ts';
import { becomeHost } from '../src/task/definition/load-phase.ts';
import { Guard, type GuardStart } from './guard.ts';
import { HostRuntime } from './host-runtime.ts';
import { writeAll } from './write-all.ts';

/** What the guard forwards; null: the lane is gone. */
export type GuardMessage = Uint8Array | null;

function run(): void {
  leaveChannel();
  process.on('SIGINT', () => {}); // Ctrl-C is sent to the whole process group, but the lane decides what it means
  becomeHost();
  const control = new ChildControl();
  const { port1: port, port2 } = new MessageChannel();
  const start: GuardStart = { port: port2, control: control.buffer };
  const guard = new Worker(process.argv[1] as string, { workerData: start, transferList: [port2], execArgv: [] });
  guard.on('error', (error) => {
    throw error;
  });
  port.once('message', (first: Uint8Array) => {
    const rest = deserialize(Buffer.from(first.buffer)) as HostStart;
    const poll = () => {
      const received = receiveMessageOnPort(port) as { message: GuardMessage } | undefined;
      if (received !== undefined) receive(received.message);
      return received !== undefined;
    };
    const runtime = new HostRuntime({ post: (reply) => control.post(reply), poll, readBack, control, ...rest });
    process.on('uncaughtExceptionMonitor', (error) => {
      if (process.listenerCount('uncaughtException') === 0) runtime.crash(error); // else the module handles it
    });
    const receive = (message: GuardMessage) => {
      if (message === null) {
        void runtime.end();
        return;
      }
      let readable: HostMessage;
      try {
        readable = deserialize(Buffer.from(message.buffer)) as HostMessage;
      } catch (error) {
        runtime.onUnreadable(error);
        return;
      }
      runtime.receive(readable);
    };
    port.on('message', receive);
    write(frame('up'));
  });
}

/** Removes the channel of Node: the lane uses other pipes, and programs take a `process.send` for a sign that somebody listens. */
function leaveChannel(): void {
  process.disconnect();
  for (const property of ['send', 'disconnect', 'channel'] as const) Reflect.deleteProperty(process, property);
}

/** The control block that the child shares with its guard. The lane can't see it, so each change is sent as a frame. */
class ChildControl extends ControlBlock {
  /** The last batch whose first begin was sent. */
  #begun = 0;
  /** The `ended` frame, which is written together with the next reply. */
  #ended: readonly Buffer[] = [];

  override beginLoading(isSetup = false): void {
    super.beginLoading(isSetup);
    write(frame('loading', isSetup ? 1 : 0, undefined, this.batch));
  }

  /** Only the first begin of a batch is sent: an `ended` frame implies the begin of its own item. */
  override begin(item: number, at: number): boolean {
    const begins = super.begin(item, at);
    if (begins && this.#begun !== this.batch) {
      this.#begun = this.batch;
      write(frame('begun', item, times(at), this.batch));
    }
    return begins;
  }

  /** The lane can't read results here, so all are posted. */
  override finish(): boolean {
    return false;
  }

  override finishByMessage(item: number, at: number, hasPosted: boolean): void {
    super.finishByMessage(item, at, hasPosted);
    this.#ended = frame('ended', item, times(this.begunAt(item), at), this.batch);
  }

  post(reply: HostReply): void {
    const parts = [...this.#ended, ...frame('reply', 0, serializeReply(reply), this.batch)];
    this.#ended = [];
    write(parts);
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
