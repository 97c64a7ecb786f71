/**
 * One child, on `child_process.fork`. Instead of its channel it uses pipes. The child writes its replies synchronously, so
 * its death loses nothing that it has written. What concerns tasks that may run already has a pipe of its own, which a
 * thread in the child reads, the guard, while a function blocks the child.
 */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import type { Duplex, Readable } from 'node:stream';
import type { ResourceLimits } from 'node:worker_threads';
import { clearTimeout, Promise, setTimeout } from '../../platform/globals.ts';
import { hostProgram, isSingleExecutable, requireLate } from '../../platform/package-files.ts';
import { batchMs } from '../../queue/run-time-estimate.ts';
import { guarded, type HostListener, type HostOptions } from '../hosts/host.ts';
import { type Frame, FrameReader, frame, guardPipe, replyPipe, serialize, workPipe } from '../wire/frames.ts';
import type { ProcessStart } from '../wire/protocol.ts';
import { BeginNotes } from './begin-notes.ts';
import { forwardOutput } from './printed-output.ts';
import { type Child, ProcessSlot } from './process-slot.ts';
import { endWithParent } from './stopped-children.ts';

/** Between SIGTERM and SIGKILL, in milliseconds. */
const killAfterMs = 500;
/** How long the pipes of a child that has exited are read if another process keeps them open, in milliseconds. */
const longestDrainMs = 1_000;

export class ProcessHost implements Child {
  readonly id: number;
  readonly slots: readonly ProcessSlot[];
  readonly #child: ChildProcess;
  #guard: Duplex | undefined;
  #work: Duplex | undefined;
  readonly #listener: HostListener;
  #isUp = false;
  #cause: unknown;
  #killTimer: NodeJS.Timeout | undefined;

  /** @param ids Read after the child was started, because making the first prefix loads a slow module. */
  constructor(
    { env, execArgv, resourceLimits, recycle, nice = 0, concurrentTasks = 1 }: HostOptions,
    ids: { readonly idPrefix: string },
    listener: HostListener,
  ) {
    this.#listener = listener;
    if (isSingleExecutable()) {
      throw new Error(
        "a single executable can't start children: each would be the program once more; run it in threads, { type: 'thread' }",
      );
    }
    const { fork } = requireLate('node:child_process') as typeof import('node:child_process');
    const notes = new BeginNotes(concurrentTasks);
    this.slots = Array.from({ length: concurrentTasks }, (_, slot) => new ProcessSlot(this, slot, listener, notes));
    // A task module may be the program, and read its arguments as it loads.
    const child = notes.closeIfThrown(() =>
      fork(hostProgram('process'), process.argv.slice(2), {
        execArgv: [...(execArgv ?? flagsForChildren(process.execArgv)), ...limitFlags(resourceLimits)],
        ...(env && { env }),
        stdio: ['ignore', 'pipe', 'pipe', 'pipe', 'pipe', 'pipe', notes.file ?? 'ignore', 'ipc'],
      }),
    );
    this.#child = child;
    this.id = child.pid ?? -1;
    child.on('error', (error) => {
      this.#cause ??= error;
      if (child.pid === undefined) listener.exited({ exitCode: undefined, signal: undefined, cause: error });
    });
    if (child.pid === undefined) {
      notes.close();
      return;
    }
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
        for (const slot of this.slots) slot.markNextBegun();
        notes.close();
        listener.exited({ exitCode: exitCode ?? undefined, signal: signal ?? undefined, cause: this.#cause });
      });
    });
    const { idPrefix } = ids;
    const { maxHeapMb = Infinity } = recycle ?? {};
    const start: ProcessStart = {
      slots: concurrentTasks,
      hasNotes: notes.file !== undefined,
      idPrefix,
      batchMs,
      maxHeapMb,
      nice,
    };
    this.sendWork(frame('message', 0, serialize(start)));
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

  #receive(each: Frame): void {
    if (each.kind === 'up') {
      this.#isUp = true;
      this.#listener.up();
      return;
    }
    const slot = this.slots[each.slot];
    if (slot === undefined) throw new Error(`it tells of slot ${each.slot}, and has ${this.slots.length}`);
    slot.receive(each);
  }

  sendWork(parts: readonly Buffer[]): void {
    send(this.#work, parts);
  }

  sendGuard(parts: readonly Buffer[]): void {
    send(this.#guard, parts);
  }

  crashing(error: unknown): void {
    this.#cause = error;
  }

  end(): void {
    if (this.#killTimer !== undefined) return;
    this.#child.kill('SIGTERM');
    this.#killTimer = setTimeout(() => this.#child.kill('SIGKILL'), killAfterMs).unref();
  }
}

function send(pipe: Duplex | undefined, parts: readonly Buffer[]): void {
  pipe?.cork();
  for (const part of parts) pipe?.write(part);
  pipe?.uncork();
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
