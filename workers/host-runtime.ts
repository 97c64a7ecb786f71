/**
 * The other side of a lane: takes batches, runs their items one after the other, and tells what each came to before it
 * begins the next. It knows nothing of how messages travel.
 */
import { getHeapStatistics } from 'node:v8';
import { TaskwardenError } from '../src/base/errors.ts';
import { isInstance, isThenable, messageOf, textOf } from '../src/base/foreign-value.ts';
import { restoreBuffers } from '../src/lanes/wire/buffers.ts';
import { unpackArgs, unpackId } from '../src/lanes/wire/columns.ts';
import type { ControlBlock } from '../src/lanes/wire/control-block.ts';
import { decodeThrown, encodeThrown } from '../src/lanes/wire/error-codec.ts';
import type { Failed, HostMessage, HostReply, RunMessage } from '../src/lanes/wire/protocol.ts';
import { checkReadable, packWord, unpackWord } from '../src/lanes/wire/wire-message.ts';
import { now } from '../src/platform/clock.ts';
import { Buffer, Promise } from '../src/platform/globals.ts';
import type { WireDefinition } from '../src/task/definition/definition.ts';
import { type LoadedFunction, loadFunction } from '../src/task/definition/load-function.ts';
import { explainModuleWait } from '../src/task/definition/load-phase.ts';
import { hasTeardowns, setUpLane, tearDownLane } from '../src/task/inside/lane-setup.ts';
import { Run } from '../src/task/inside/run.ts';
import type { CarriedContext, TaskMessage } from '../src/task/inside/task-message.ts';
import { type Transferable, takeTransfers, unwrapTransferred } from '../src/task/inside/transferred.ts';
import type { Progress } from '../src/task/record/progress.ts';
import { taskId } from '../src/task/record/task-id.ts';

type PostReply = (reply: HostReply, transfer?: readonly Transferable[]) => void;

/** What an item came to instead of a result. */
class Failure {
  /** A result may be a proxy that throws when it is asked for its prototype; this asks for nothing of it. */
  static [Symbol.hasInstance](value: unknown): boolean {
    return typeof value === 'object' && value !== null && #mark in value;
  }
  readonly #mark = true;
  readonly kind: Failed['kind'];
  readonly error: unknown;

  constructor(kind: Failed['kind'], error: unknown) {
    this.kind = kind;
    this.error = error;
  }
}

/** A batch, with the arguments of its items as far as they have come. */
interface Batch {
  readonly message: RunMessage;
  readonly args: (readonly unknown[] | Failure)[];
}

/** What a host is made with. */
interface HostSide {
  readonly post: PostReply;
  readonly control: ControlBlock;
  /** What the lane reads of a value. Throws if it can't be written, or read. */
  readonly readBack: (value: unknown) => unknown;
  /** Receives what was posted first, if something was, though the thread is busy. */
  readonly hear: () => boolean;
  /** See `ThreadStart`. */
  readonly idPrefix: string;
  readonly batchMs: number;
  readonly maxHeapMb: number;
}

export class HostRuntime {
  readonly #host: HostSide;
  readonly #control: ControlBlock;
  readonly #functions = new Map<number, LoadedFunction>();
  readonly #outputs: readonly NodeJS.WriteStream[] = [process.stdout, process.stderr];
  /** A batch some of whose arguments are still on their way. */
  #coming: Batch | undefined;
  #running: ItemRun | undefined;
  /** A batch runs, or is being loaded. */
  #isBusy = false;
  /** What was said to items of the batch that have not begun. */
  #early: { readonly item: number; readonly word: TaskMessage }[] = [];
  /** What the next message says if it can't be read. */
  #standIn: (HostMessage & { readonly kind: 'stand-in' }) | undefined;
  /** Those of them that are to stop as soon as they begin, and why. */
  readonly #toStop = new Map<number, unknown>();

  constructor(host: HostSide) {
    this.#host = host;
    this.#control = host.control;
  }

  receive(message: HostMessage): void {
    this.#standIn = undefined;
    switch (message.kind) {
      case 'run':
        if (message.buffers !== undefined) restoreBuffers(unpackArgs(message.args, 0) as unknown[], message.buffers);
        this.#collect({ message, args: [] });
        break;
      case 'args':
        if (message.args === null) this.#refuse();
        else {
          if (message.buffers !== undefined) restoreBuffers(message.args as unknown[], message.buffers);
          this.#arrive(message.args);
        }
        break;
      case 'warm':
        void this.#warm(message.definitions);
        break;
      case 'end':
        void this.end();
        break;
      case 'word':
        this.#tell(message.item, unpackWord(message.word));
        break;
      case 'stand-in':
        this.#standIn = message;
        break;
      case 'stop':
        this.#stop(message.item, decodeThrown(message.reason));
        break;
    }
  }

  #stop(item: number, reason: unknown): void {
    if (this.#running?.item === item) {
      this.#control.requestStop(item); // if it was heard before the flag was seen
      this.#running.stop(reason);
    } else if (this.#control.state(item) === 'waiting') {
      this.#toStop.set(item, reason);
    }
  }

  #tell(item: number, word: TaskMessage): void {
    if (this.#running?.item === item) this.#running.handle(word);
    else if (this.#control.state(item) === 'waiting') this.#early.push({ item, word });
  }

  /** A message came that can't be read: one with a stand-in, the arguments of an item, or the batch of an only task. */
  unread(error: unknown): void {
    if (this.#standIn !== undefined) {
      this.receive({ ...this.#standIn, kind: 'word' });
      return;
    }
    const failure = new Failure('unread', error);
    if (this.#coming !== undefined) this.#arrive(failure);
    else if (this.#isBusy) process.emitWarning(`a message to a running task can't be read: ${textOf(error)}`);
    else this.#fail(failure);
  }

  /** An uncaught error is about to end this thread. */
  crash(error: unknown): void {
    this.#host.post({ kind: 'crash', error: encodeThrown(error) });
  }

  /** The item whose arguments are awaited is never to begin. */
  #refuse(): void {
    if (this.#coming !== undefined) this.#control.withdraw(this.#coming.args.length);
    this.#arrive([]);
  }

  #arrive(args: readonly unknown[] | Failure): void {
    if (this.#coming === undefined) return;
    this.#coming.args.push(args);
    this.#collect(this.#coming);
  }

  /** Runs the batch as soon as all its arguments are there. */
  #collect(batch: Batch): void {
    const { message, args } = batch;
    this.#early = [];
    this.#toStop.clear();
    this.#coming = batch;
    while (args.length < message.items) {
      const next = unpackArgs(message.args, args.length);
      if (next === null) return;
      args.push(next);
    }
    this.#coming = undefined;
    void this.#run(batch);
  }

  async #run(batch: Batch): Promise<void> {
    this.#isBusy = true;
    await this.#runItems(batch);
    this.#isBusy = false;
  }

  async #runItems({ message, args }: Batch): Promise<void> {
    const { define, definition, carried, forget = [] } = message;
    for (const index of forget) this.#functions.delete(index);
    if (define !== undefined && !(await this.#load(define, carried))) return;
    const loaded = this.#functions.get(definition) as LoadedFunction;
    const carrier = carried && this.#functions.get(carried.definition.index);
    let at = now();
    const until = at + this.#host.batchMs;
    let isAnswered = false;
    for (let item = 0; item < args.length; item += 1) {
      if (at > until) break; // the lane gives the others to whoever is free first
      if (!this.#control.begin(item, at)) continue;
      let outcome: unknown = args[item] as readonly unknown[] | Failure;
      let run: ItemRun | undefined;
      if (!(outcome instanceof Failure)) {
        run = new ItemRun(this.#host, message, item, outcome as readonly unknown[]);
        this.#running = run;
        for (const early of this.#early) if (early.item === item) run.handle(early.word);
        if (this.#toStop.has(item)) {
          this.#control.requestStop(item);
          run.stop(this.#toStop.get(item));
        }
        try {
          outcome = run.callIn(carrier, loaded);
          if (isThenable(outcome)) outcome = await outcome;
        } catch (error) {
          outcome = new Failure('thrown', explainModuleWait(error));
        }
        run.end();
        this.#running = undefined;
      }
      at = now();
      if (this.#outputs.some(isPrinting)) await this.#printed();
      isAnswered = this.#answer(item, outcome, at, run?.hasSpoken) && item === args.length - 1;
    }
    if (this.#isHeavy()) this.#host.post({ kind: 'heavy' });
    if (!isAnswered) this.#host.post({ kind: 'done' });
  }

  #isHeavy(): boolean {
    const { maxHeapMb } = this.#host;
    return maxHeapMb !== Infinity && getHeapStatistics().used_heap_size > maxHeapMb * 2 ** 20;
  }

  /**
   * What was printed has arrived. Without that it could be lost: nobody waits for the output of a thread, neither when
   * it is ended nor when the process exits.
   */
  async #printed(): Promise<void> {
    for (const stream of this.#outputs) {
      if (isPrinting(stream)) await new Promise((resolve) => stream.write('', resolve));
    }
  }

  /** Loads what the batch runs, which has one item then, and how its context is put on; or fails that. */
  async #load(define: WireDefinition, carried: CarriedContext | undefined): Promise<boolean> {
    try {
      for (const each of carried === undefined ? [define] : [define, carried.definition]) {
        if (this.#functions.has(each.index)) continue;
        this.#control.beginLoading();
        await this.#prepare(each, () => this.#control.beginLoading(true));
      }
      this.#host.post({ kind: 'begin' });
      return true;
    } catch (error) {
      this.#fail(new Failure('unloadable', error));
      return false;
    }
  }

  async #prepare(define: WireDefinition, settingUp = () => {}): Promise<void> {
    const loaded = await loadFunction(define);
    settingUp();
    try {
      await setUpLane(define.moduleUrl);
    } finally {
      if (hasTeardowns()) this.#host.post({ kind: 'untidy' }); // also where another setup has failed
    }
    this.#functions.set(define.index, loaded);
  }

  /** What can't be loaded now is loaded again for its first task, which then fails. */
  async #warm(definitions: readonly WireDefinition[]): Promise<void> {
    const missing: number[] = [];
    for (const define of definitions) await this.#prepare(define).catch(() => missing.push(define.index));
    this.#host.post({ kind: 'warm', missing });
  }

  /** Cleans up, and ends this thread or child. */
  async end(): Promise<void> {
    await tearDownLane((problem) => this.#host.post({ kind: 'teardown', error: encodeThrown(problem) }));
    await this.#printed();
    process.exit(0);
  }

  /** Fails the one item of a batch. */
  #fail(failure: Failure): void {
    const at = now();
    if (this.#control.begin(0, at)) this.#answer(0, failure, at);
    else this.#host.post({ kind: 'done' });
  }

  /** Tells what an item came to. True if that took a message: always, if messages of the item are still on their way. */
  #answer(item: number, outcome: unknown, at: number, hasSpoken = false): boolean {
    if (!(outcome instanceof Failure) && !hasSpoken && this.#control.finish(item, outcome, at)) return false;
    this.#control.finishByMessage(item, at, hasSpoken); // not after the message: that may be the last word of the batch
    if (outcome instanceof Failure) this.#host.post({ kind: outcome.kind, item, error: encodeThrown(outcome.error) });
    else this.#postResult(item, outcome);
    return true;
  }

  #postResult(item: number, outcome: unknown): void {
    const value = unwrapTransferred(outcome);
    try {
      this.#host.post({ kind: 'result', item, value, isBuffer: isInstance(value, Buffer) }, takeTransfers(outcome));
    } catch (problem) {
      this.#host.post({ kind: 'uncloneable', item, error: encodeThrown(uncloneable(problem)) });
    }
  }
}

/** The run of one item of a batch. */
class ItemRun extends Run {
  readonly item: number;
  /** Whether it has said anything. */
  hasSpoken = false;
  readonly #host: HostSide;
  readonly #message: RunMessage;
  #carrier: LoadedFunction | undefined;

  constructor(host: HostSide, message: RunMessage, item: number, args: readonly unknown[]) {
    super(args);
    this.#host = host;
    this.#message = message;
    this.item = item;
  }

  get id(): string {
    const id = unpackId(this.#message.ids, this.item);
    return typeof id === 'string' ? id : taskId(this.#host.idPrefix, id);
  }

  get name(): string {
    return this.#message.name;
  }

  get attempt(): number {
    return this.#message.attempts?.[this.item] ?? 1;
  }

  protected override get ownIdempotencyKey(): string | undefined {
    return this.#message.keys?.[this.item];
  }

  protected isStopRequested(): boolean {
    return this.#host.control.isStopRequested(this.item);
  }

  protected report(progress: Progress): void {
    this.hasSpoken = true;
    this.#host.post({ kind: 'progress', item: this.item, progress });
  }

  /** Calls the function in the context that goes along with it. */
  callIn(carrier: LoadedFunction | undefined, { fn, receiver }: LoadedFunction): unknown {
    this.#carrier = carrier;
    if (carrier === undefined) return this.call(fn, receiver);
    return carrier.fn(this.#message.carried?.value, () => this.call(fn, receiver));
  }

  captureContext(): CarriedContext | undefined {
    const { carried } = this.#message;
    const value = this.#carrier?.fn(undefined);
    return carried === undefined || value === undefined ? undefined : { ...carried, value };
  }

  post(word: TaskMessage): void {
    try {
      checkReadable(word, this.#host.readBack);
      this.#host.post({ kind: 'word', item: this.item, word: packWord(word) });
    } catch (cause) {
      const message = `what was sent can't be copied: ${messageOf(cause)}; send plain data`;
      throw new TaskwardenError('MESSAGE_NOT_CLONEABLE', message, { cause });
    }
    this.hasSpoken = true;
  }

  protected poll(timeoutMs: number): boolean {
    const { control, hear } = this.#host;
    const { rings } = control;
    if (hear()) return true;
    if (timeoutMs <= 0) return false;
    control.awaitRing(rings, timeoutMs);
    return hear();
  }
}

function isPrinting(stream: NodeJS.WriteStream): boolean {
  return stream.writableLength > 0 && stream.writable;
}

function uncloneable(cause: unknown): TaskwardenError {
  const isDeep = isInstance(cause, RangeError);
  return new TaskwardenError(
    'RESULT_NOT_CLONEABLE',
    `the result can't be copied back to the program: ${isDeep ? 'it is nested too deeply, or too large' : messageOf(cause)}; ` +
      `return ${isDeep ? 'flatter data, or text such as JSON' : 'plain data, without functions, sockets or other live things'}`,
    { cause },
  );
}
