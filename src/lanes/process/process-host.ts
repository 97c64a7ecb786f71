/**
 * One child, on `child_process.fork`. Instead of its channel it uses pipes. The child writes its replies synchronously, so
 * its death loses nothing that it has written. What concerns tasks that may run already has a pipe of its own, which a
 * thread in the child reads, the guard, while a function blocks the child. The control block here is a copy of that of the
 * child, updated by its frames.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import type { Duplex, Readable } from 'node:stream';
import type { ResourceLimits } from 'node:worker_threads';
import { now } from '../../platform/clock.ts';
import { clearTimeout, Promise, setTimeout } from '../../platform/globals.ts';
import { hostProgram, isSingleExecutable } from '../../platform/package-files.ts';
import { batchMs } from '../../queue/run-time-estimate.ts';
import { guarded, type Host, type HostListener, type HostOptions } from '../hosts/host.ts';
import { ControlBlock } from '../wire/control-block.ts';
import { decodeThrown, encodeThrown } from '../wire/error-codec.ts';
import {
  deserialize,
  type Frame,
  FrameReader,
  frame,
  guardPipe,
  isSerializable,
  type Recalled,
  replyPipe,
  serialize,
  timeAt,
  times,
  workPipe,
} from '../wire/frames.ts';
import type { HostMessage, HostReply, HostStart } from '../wire/protocol.ts';
import { forwardOutput } from './printed-output.ts';
import { endWithParent } from './stopped-children.ts';

/** Between SIGTERM and SIGKILL, in milliseconds. */
const killAfterMs = 500;
/** How long the pipes of a child that has exited are read if another process keeps them open, in milliseconds. */
const longestDrainMs = 1_000;

export class ProcessHost implements Host {
  readonly id: number;
  /** It runs one task at a time. */
  readonly seats: readonly Host[] = [this];
  /** The state of the child's control block at its last frame. */
  readonly control: ControlBlock = new ControlBlock();
  readonly #child: ChildProcess;
  #guard: Duplex | undefined;
  #work: Duplex | undefined;
  readonly #listener: HostListener;
  /** The items of the last batch: the first, and the one after the last. */
  #first = 0;
  #end = 0;
  #isUp = false;
  #cause: unknown;
  #killTimer: NodeJS.Timeout | undefined;

  /** @param ids Read after the child was started, because making the first prefix loads a slow module. */
  constructor(
    { env, execArgv, resourceLimits, recycle, nice = 0 }: HostOptions,
    ids: { readonly idPrefix: string },
    listener: HostListener,
  ) {
    this.#listener = listener;
    if (isSingleExecutable()) {
      throw new Error(
        "a single executable can't start children: each would be the program once more; run it in threads, { type: 'thread' }",
      );
    }
    // A task module may be the program, and read its arguments as it loads.
    const child = fork(hostProgram('process'), process.argv.slice(2), {
      execArgv: [...(execArgv ?? flagsForChildren(process.execArgv)), ...limitFlags(resourceLimits)],
      ...(env && { env }),
      stdio: ['ignore', 'pipe', 'pipe', 'pipe', 'pipe', 'pipe', 'ipc'],
    });
    this.#child = child;
    this.id = child.pid ?? -1;
    child.on('error', (error) => {
      this.#cause ??= error;
      if (child.pid === undefined) listener.exited({ exitCode: undefined, signal: undefined, cause: error });
    });
    if (child.pid === undefined) return;
    const pipes = child.stdio as unknown as readonly Duplex[];
    const [guard, replies, work] = [guardPipe, replyPipe, workPipe].map((pipe) => pipes[pipe] as Duplex) as [
      Duplex,
      Duplex,
      Duplex,
    ];
    this.#guard = guard;
    this.#work = work;
    // A pending task keeps the process alive, a child does not.
    for (const each of [child, child.channel, ...child.stdio]) (each as Partial<NodeJS.Timeout> | null)?.unref?.();
    for (const pipe of [guard, replies, work]) this.#read(pipe);
    const [, stdout, stderr] = child.stdio as unknown as [null, Readable, Readable];
    forwardOutput(stdout, 'stdout');
    forwardOutput(stderr, 'stderr');
    endWithParent(child, () => this.#isUp && this.#killTimer === undefined);
    child.once('exit', (exitCode, signal) => {
      clearTimeout(this.#killTimer);
      void this.#readToEnd([guard, replies, work, stdout, stderr]).then(() => {
        this.#markNextBegun();
        listener.exited({ exitCode: exitCode ?? undefined, signal: signal ?? undefined, cause: this.#cause });
      });
    });
    const start: HostStart = { idPrefix: ids.idPrefix, batchMs, maxHeapMb: recycle?.maxHeapMb ?? Infinity, nice };
    this.#send(this.#work, frame('message', 0, serialize(start)));
  }

  #read(pipe: Duplex | Readable): void {
    const reader = new FrameReader();
    const read = (chunk: Buffer) => {
      for (const each of reader.push(chunk)) this.#receive(each);
    };
    pipe.on(
      'data',
      guarded(read, (cause) => this.#fail(cause)),
    );
    pipe.on('error', () => {}); // such as EPIPE: 'exit' follows, and says why
  }

  /** It has sent something impossible, so nothing that it sends can be trusted. */
  #fail(cause: Error): void {
    this.#cause ??= cause;
    this.#child.kill('SIGKILL');
  }

  /** What it wrote before it died may not have arrived yet. */
  async #readToEnd(pipes: readonly Readable[]): Promise<void> {
    const timer = setTimeout(() => {
      for (const pipe of pipes) pipe.destroy();
    }, longestDrainMs);
    await Promise.all(pipes.map((pipe) => pipe.closed || once(pipe, 'close').catch(() => {})));
    clearTimeout(timer);
  }

  /** The item after one that has ended begins at once, but its frame comes only when it ends. So the child died in that one. */
  #markNextBegun(): void {
    let hasBegun = false;
    for (let item = this.#first; item < this.#end; item += 1) {
      const state = this.control.state(item);
      if (state === 'running') return;
      if (state === 'posted') hasBegun = true;
      else if (state === 'waiting' && hasBegun) {
        this.control.begin(item, now());
        return;
      }
    }
  }

  #receive({ kind, number, body }: Frame): void {
    switch (kind) {
      case 'up':
        this.#isUp = true;
        this.#listener.up();
        break;
      case 'loading':
        this.control.beginLoading(number === 1);
        break;
      case 'begun':
        this.#checkItem(number);
        this.control.begin(number, timeAt(body, 0));
        break;
      case 'ended':
        this.#checkItem(number);
        this.control.begin(number, timeAt(body, 0));
        this.control.finishByMessage(number, timeAt(body, 1));
        break;
      case 'recalled':
        if (this.#has(number)) this.#recalled(deserialize(body) as Recalled); // else its batch is over
        break;
      case 'reply':
        this.#reply(body);
        break;
      default:
        throw new Error(`a child sends no "${kind}"`);
    }
  }

  #has(item: number): boolean {
    return item >= this.#first && item < this.#end;
  }

  #checkItem(item: number): void {
    if (!this.#has(item))
      throw new Error(`it tells of item ${item}, and has those from ${this.#first} to ${this.#end - 1}`);
  }

  #readReply(body: Buffer): HostReply | undefined {
    try {
      return deserialize(body) as HostReply;
    } catch (problem) {
      this.#listener.unreadable(problem);
      return undefined;
    }
  }

  #reply(body: Buffer): void {
    const reply = this.#readReply(body);
    if (reply === undefined) return;
    if (reply.kind === 'crash') {
      this.#cause = decodeThrown(reply.error);
      return;
    }
    if (reply.kind === 'progress' || reply.kind === 'task-message') {
      if (!this.#has(reply.item)) return; // it comes from left-over code of a task
      if (this.control.state(reply.item) === 'waiting') this.control.begin(reply.item, now());
    }
    this.#listener.reply(reply);
  }

  #recalled({ items, running }: Recalled): void {
    const withdrawn = items.filter((item) => this.control.withdraw(item));
    if (running !== undefined) this.control.begin(running.item, running.at);
    this.#listener.reply({ kind: 'recalled', items: withdrawn });
  }

  /** Nothing is transferred: everything is copied. */
  post(message: HostMessage): void {
    switch (message.kind) {
      case 'stop': {
        const reason = encodeThrown(decodeThrown(message.reason), isSerializable);
        const body = serialize({ ...message, reason });
        this.#send(this.#guard, frame(message.isFinal ? 'cancel' : 'stop', message.item, body));
        break;
      }
      case 'task-message':
      case 'fallback':
        this.#send(this.#guard, frame('message', message.item, serialize(message)));
        break;
      default:
        this.#send(this.#work, frame('message', 0, serialize(message)));
        if (message.kind !== 'run') break;
        this.#first = message.first;
        this.#end = message.first + message.items;
    }
  }

  recall(from: number): void {
    this.#send(this.#guard, frame('recall', from, times(this.#first, this.#end)));
  }

  #send(pipe: Duplex | undefined, parts: readonly Buffer[]): void {
    pipe?.cork();
    for (const part of parts) pipe?.write(part);
    pipe?.uncork();
  }

  end(): void {
    if (this.#killTimer !== undefined) return;
    this.#child.kill('SIGTERM');
    this.#killTimer = setTimeout(() => this.#child.kill('SIGKILL'), killAfterMs).unref();
  }
}

/** Removes the flags that say what this process runs, such as `-e` and its program: each child would run that, too. */
function flagsForChildren(flags: readonly string[]): string[] {
  return flags.filter((flag, index) => {
    const isValue = !flag.startsWith('-') && flagWithValue.test(flags[index - 1] ?? '');
    return !isValue && !flagWithValue.test(flag) && !ownFlag.test(flag);
  });
}

const flagWithValue = /^(-e|-p|-pe|--eval|--print|--input-type)$/;
/** The port of a debugger is taken by this process; the other flags are for a program that is not a file. */
const ownFlag = /^(--inspect.*|--(eval|print|input-type)=.*|-i|--interactive)$/s;

/** The flags that limit a process like `resourceLimits`; there is none for `codeRangeSizeMb`. */
function limitFlags(limits: ResourceLimits = {}): string[] {
  const { maxOldGenerationSizeMb, maxYoungGenerationSizeMb, stackSizeMb } = limits;
  return [
    ...(maxOldGenerationSizeMb === undefined ? [] : [`--max-old-space-size=${Math.ceil(maxOldGenerationSizeMb)}`]),
    // The young generation is three semi-spaces.
    ...(maxYoungGenerationSizeMb === undefined
      ? []
      : [`--max-semi-space-size=${Math.max(Math.ceil(maxYoungGenerationSizeMb / 3), 1)}`]),
    ...(stackSizeMb === undefined ? [] : [`--stack-size=${Math.ceil(stackSizeMb * 1_000)}`]),
  ];
}
