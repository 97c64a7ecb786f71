/**
 * Runs batches in a thread or child: runs their items one after the other, and posts the outcome of each before it begins
 * the next. It does not know how messages are transported.
 */
import { getHeapStatistics } from 'node:v8';
import { isInstance, isThenable, textOf } from '../src/base/foreign-value.ts';
import { restoreBuffers } from '../src/lanes/wire/buffers.ts';
import { unpackArgs } from '../src/lanes/wire/columns.ts';
import type { ControlBlock } from '../src/lanes/wire/control-block.ts';
import { decodeThrown, encodeThrown, type WireThrown } from '../src/lanes/wire/error-codec.ts';
import type { HostMessage, RunMessage } from '../src/lanes/wire/protocol.ts';
import { unpackMessage } from '../src/lanes/wire/wire-message.ts';
import { now } from '../src/platform/clock.ts';
import { Buffer, Promise } from '../src/platform/globals.ts';
import type { WireDefinition } from '../src/task/definition/definition.ts';
import { type LoadedFunction, loadFunction, loadModule } from '../src/task/definition/load-function.ts';
import { explainModuleWait } from '../src/task/definition/load-phase.ts';
import { hasTeardowns, setUpLane, tearDownLane } from '../src/task/inside/lane-setup.ts';
import type { CarriedContext, TaskMessage } from '../src/task/inside/task-message.ts';
import { takeTransfers, unwrapTransferred } from '../src/task/inside/transferred.ts';
import { uncloneableResult } from '../src/task/inside/uncloneable-result.ts';
import { Failure } from './failure.ts';
import type { HostPort } from './host-port.ts';
import { ItemRun } from './item-run.ts';

/** A batch, with the arguments of its items that have arrived. */
interface Batch {
  readonly message: RunMessage;
  readonly args: (readonly unknown[] | Failure)[];
}

export class HostRuntime {
  readonly #host: HostPort;
  readonly #control: ControlBlock;
  readonly #functions = new Map<number, LoadedFunction>();
  readonly #outputs: readonly NodeJS.WriteStream[] = [process.stdout, process.stderr];
  /** A batch whose arguments have not all arrived. */
  #incoming: Batch | undefined;
  #running: ItemRun | undefined;
  /** A batch runs, or is being loaded. */
  #isBusy = false;
  /** Batches that come after it. */
  readonly #next: Batch[] = [];
  /** The number of the next item that is sent. */
  #nextItem = 0;
  /** Messages to items that have not begun. */
  #earlyMessages: { readonly item: number; readonly message: TaskMessage }[] = [];
  /** Replaces the next message if that can't be read. */
  #fallback: (HostMessage & { readonly kind: 'fallback' }) | undefined;
  /** The items that stop as soon as they begin, with the reason. */
  readonly #toStop = new Map<number, unknown>();

  constructor(host: HostPort) {
    this.#host = host;
    this.#control = host.control;
  }

  receive(message: HostMessage): void {
    switch (message.kind) {
      case 'run':
        this.#nextItem = message.first + message.items;
        if (message.buffers !== undefined) restoreBuffers(unpackArgs(message.args, 0) as unknown[], message.buffers);
        this.#collect({ message, args: [] });
        break;
      case 'args':
        if (message.args === null) this.#skipItem();
        else {
          if (message.buffers !== undefined) restoreBuffers(message.args as unknown[], message.buffers);
          this.#arrive(message.args);
        }
        break;
      case 'warm':
        void this.#warm(message);
        break;
      case 'end':
        void this.end();
        break;
      case 'task-message':
        this.#fallback = undefined;
        this.#deliver(message.item, unpackMessage(message.message));
        break;
      case 'fallback':
        this.#fallback = message;
        break;
      case 'stop':
        this.#stop(message.item, decodeThrown(message.reason));
        break;
    }
  }

  #stop(item: number, reason: unknown): void {
    if (this.#running?.item === item) {
      this.#control.requestStop(item); // the message may be handled before the flag is seen
      this.#running.stop(reason);
    } else if (this.#control.state(item) === 'waiting') {
      this.#toStop.set(item, reason);
    }
  }

  #deliver(item: number, message: TaskMessage): void {
    if (this.#running?.item === item) this.#running.handle(message);
    else if (this.#control.state(item) === 'waiting') this.#earlyMessages.push({ item, message });
  }

  /** A message can't be read: one with a fallback, the arguments of an item, or a batch of one task. */
  onUnreadable(error: unknown): void {
    if (this.#fallback !== undefined) {
      this.receive({ ...this.#fallback, kind: 'task-message' });
      return;
    }
    const failure = new Failure('unread', error);
    if (this.#incoming !== undefined) this.#arrive(failure);
    else if (this.#isBusy) process.emitWarning(`a message to a running task can't be read: ${textOf(error)}`);
    else this.#fail(this.#nextItem++, failure);
  }

  /** An uncaught error is about to end this thread. */
  crash(error: unknown): void {
    this.#host.post({ kind: 'crash', error: encodeThrown(error) });
  }

  /** The item whose arguments come next must never begin. */
  #skipItem(): void {
    if (this.#incoming !== undefined) {
      this.#control.withdraw(this.#incoming.message.first + this.#incoming.args.length);
    }
    this.#arrive([]);
  }

  #arrive(args: readonly unknown[] | Failure): void {
    if (this.#incoming === undefined) return;
    this.#incoming.args.push(args);
    this.#collect(this.#incoming);
  }

  /** Runs the batch when all its arguments have arrived. */
  #collect(batch: Batch): void {
    const { message, args } = batch;
    this.#incoming = batch;
    while (args.length < message.items) {
      const next = unpackArgs(message.args, args.length);
      if (next === null) return;
      args.push(next);
    }
    this.#incoming = undefined;
    this.#next.push(batch);
    if (!this.#isBusy) void this.#run();
  }

  async #run(): Promise<void> {
    this.#isBusy = true;
    for (let batch = this.#next.shift(); batch !== undefined; batch = this.#next.shift()) await this.#runItems(batch);
    this.#isBusy = false;
  }

  async #runItems({ message, args }: Batch): Promise<void> {
    const { define, definition, carried, forget = [], first, isAhead = false } = message;
    this.#control.beginBatch(isAhead);
    this.#forgetBefore(first);
    for (const index of forget) this.#functions.delete(index);
    if (define !== undefined && !(await this.#load(first, define, carried))) return;
    const loaded = this.#functions.get(definition) as LoadedFunction;
    const carrier = carried && this.#functions.get(carried.definition.index);
    let at = now();
    const until = at + this.#host.batchMs;
    let isAnswered = false;
    for (const [index, itemArgs] of args.entries()) {
      if (at > until) break; // the lane gives the others to the host that is free first
      const item = first + index;
      if (!this.#control.begin(item, at)) continue;
      let outcome: unknown = itemArgs;
      let run: ItemRun | undefined;
      if (!(outcome instanceof Failure)) {
        run = new ItemRun(this.#host, message, index, outcome as readonly unknown[]);
        this.#running = run;
        for (const early of this.#earlyMessages) if (early.item === item) run.handle(early.message);
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
      isAnswered = this.#answer(item, outcome, at, run?.hasPosted) && index === args.length - 1;
    }
    if (this.#isHeavy()) this.#host.post({ kind: 'heavy' });
    if (!isAnswered) this.#host.post({ kind: 'done', end: first + args.length });
  }

  /** Messages and stops that came for items of earlier batches. */
  #forgetBefore(first: number): void {
    if (this.#earlyMessages.length > 0) this.#earlyMessages = this.#earlyMessages.filter(({ item }) => item >= first);
    for (const item of this.#toStop.keys()) if (item < first) this.#toStop.delete(item);
  }

  #isHeavy(): boolean {
    const { maxHeapMb } = this.#host;
    return maxHeapMb !== Infinity && getHeapStatistics().used_heap_size > maxHeapMb * 2 ** 20;
  }

  /**
   * Resolves when printed output has been delivered. Otherwise it could be lost, because nobody waits for the output of a
   * thread when it is ended, or when the process exits.
   */
  async #printed(): Promise<void> {
    for (const stream of this.#outputs) {
      if (isPrinting(stream)) await new Promise((resolve) => stream.write('', resolve));
    }
  }

  /** Loads the function of the batch, which has one item then, and that of its context carrier. Fails the item if it can't. */
  async #load(item: number, define: WireDefinition, carried: CarriedContext | undefined): Promise<boolean> {
    try {
      for (const each of carried === undefined ? [define] : [define, carried.definition]) {
        if (this.#functions.has(each.index)) continue;
        this.#control.beginLoading();
        await this.#prepare(each, () => this.#control.beginLoading(true));
      }
      this.#host.post({ kind: 'begin' });
      return true;
    } catch (error) {
      this.#fail(item, new Failure('unloadable', error));
      return false;
    }
  }

  async #prepare(define: WireDefinition, settingUp = () => {}): Promise<void> {
    const loaded = await loadFunction(define);
    settingUp();
    await this.#setUp(define.moduleUrl);
    this.#functions.set(define.index, loaded);
  }

  async #setUp(moduleUrl: string | undefined): Promise<void> {
    try {
      await setUpLane(moduleUrl);
    } finally {
      if (hasTeardowns()) this.#host.post({ kind: 'has-teardown' }); // also if another setup has failed
    }
  }

  /** Loads definitions ahead. One that can't be loaded is loaded again for its first task, which fails then. */
  async #warm({ definitions, preload }: HostMessage & { readonly kind: 'warm' }): Promise<void> {
    const missing: number[] = [];
    const problems: WireThrown[] = [];
    for (const define of definitions) await this.#prepare(define).catch(() => missing.push(define.index));
    for (const url of preload.modules) {
      const setUp = async () => this.#setUp(url);
      await loadModule(url)
        .then(setUp)
        .catch((problem) => problems.push(encodeThrown(problem)));
    }
    for (const define of preload.definitions) {
      await this.#prepare(define).catch((problem) => {
        missing.push(define.index);
        problems.push(encodeThrown(problem));
      });
    }
    this.#host.post({ kind: 'warm', missing, problems });
  }

  /** Runs the teardowns, and ends this thread or child. */
  async end(): Promise<void> {
    await tearDownLane((problem) => this.#host.post({ kind: 'teardown', error: encodeThrown(problem) }));
    await this.#printed();
    process.exit(0);
  }

  /** Fails the only item of a batch. */
  #fail(item: number, failure: Failure): void {
    const at = now();
    if (this.#control.begin(item, at)) this.#answer(item, failure, at);
    else this.#host.post({ kind: 'done', end: item + 1 });
  }

  /** Tells the outcome of an item. Returns whether that took a message: always, if the item has posted other messages. */
  #answer(item: number, outcome: unknown, at: number, hasPosted = false): boolean {
    if (!(outcome instanceof Failure) && !hasPosted && this.#control.finish(item, outcome, at)) return false;
    this.#control.finishByMessage(item, at, hasPosted); // not after the message, which may end the batch
    if (outcome instanceof Failure) this.#host.post({ kind: outcome.kind, item, error: encodeThrown(outcome.error) });
    else this.#postResult(item, outcome);
    return true;
  }

  #postResult(item: number, outcome: unknown): void {
    const value = unwrapTransferred(outcome);
    try {
      this.#host.post({ kind: 'result', item, value, isBuffer: isInstance(value, Buffer) }, takeTransfers(outcome));
    } catch (problem) {
      this.#host.post({ kind: 'uncloneable', item, error: encodeThrown(uncloneableResult(problem)) });
    }
  }
}

function isPrinting(stream: NodeJS.WriteStream): boolean {
  return stream.writableLength > 0 && stream.writable;
}
