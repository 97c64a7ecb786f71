/**
 * The other side of a lane: takes batches, runs their items one after the other, and answers with their outcomes.
 * It knows nothing of how messages travel.
 */
import { TaskwardenError } from '../src/errors.ts';
import { findBuffers, restoreBuffers } from '../src/lanes/buffers.ts';
import type { ControlBlock } from '../src/lanes/control-block.ts';
import { decodeThrown, encodeThrown, isCloneable } from '../src/lanes/error-codec.ts';
import type { FailureKind, HostMessage, HostReply, RunMessage, WireFailure } from '../src/lanes/protocol.ts';
import { type Progress, Run, type RunningTask } from '../src/task/context.ts';
import { explainInertWait } from '../src/task/inert.ts';
import { type LoadedFunction, loadFunction } from '../src/task/load-function.ts';
import { taskId } from '../src/task/task-id.ts';
import { type Transferable, takeTransfers, unwrapTransferred } from '../src/task/transferred.ts';

export type PostReply = (reply: HostReply, transfer?: readonly Transferable[]) => void;

export class HostRuntime {
  readonly #post: PostReply;
  readonly #control: ControlBlock;
  readonly #idPrefix: string;
  readonly #functions = new Map<number, LoadedFunction>();
  #running: { readonly item: number; readonly run: Run } | undefined;

  constructor(post: PostReply, control: ControlBlock, idPrefix: string) {
    this.#post = post;
    this.#control = control;
    this.#idPrefix = idPrefix;
  }

  receive(message: HostMessage): void {
    if (message.kind === 'run') {
      void this.#runBatch(message);
    } else if (this.#running?.item === message.item) {
      this.#running.run.stop(decodeThrown(message.reason));
    }
  }

  /** A message came that can't be read. */
  unread(error: unknown): void {
    this.#post({ kind: 'unread', error: encodeThrown(error) });
  }

  /** An uncaught error is about to end this thread. */
  crash(error: unknown): void {
    this.#post({ kind: 'crash', error: encodeThrown(error) });
  }

  async #runBatch(message: RunMessage): Promise<void> {
    const batch = new Batch(message.ids.length);
    for (const [item, places] of message.buffers ?? []) restoreBuffers(message.args[item] as unknown[], places);
    const loaded = this.#functions.get(message.definition) ?? (await this.#load(message, batch));
    if (loaded !== undefined) {
      for (let item = 0; item < message.ids.length; item += 1) {
        if (!this.#control.begin(item)) continue;
        const startedAt = performance.now();
        const run = new Run(this.#task(message, item));
        this.#running = { item, run };
        try {
          const value = run.call(loaded.fn, loaded.receiver);
          batch.results[item] = isThenable(value) ? await value : value;
        } catch (error) {
          batch.fail(item, 'thrown', explainInertWait(error));
        }
        run.end();
        batch.runMs[item] = performance.now() - startedAt;
      }
    }
    this.#running = undefined;
    if (isPrinting(process.stdout) || isPrinting(process.stderr)) await printed();
    this.#answer(batch);
  }

  /** Loads what the batch runs, or fails its items. */
  async #load({ define, definition, ids }: RunMessage, batch: Batch): Promise<LoadedFunction | undefined> {
    this.#control.beginLoading();
    try {
      if (define === undefined) throw new Error(`definition ${definition} never arrived`);
      const loaded = await loadFunction(define);
      this.#functions.set(definition, loaded);
      this.#post({ kind: 'begin' });
      return loaded;
    } catch (error) {
      for (let item = 0; item < ids.length; item += 1) {
        if (this.#control.begin(item)) batch.fail(item, 'unloadable', error);
      }
      return undefined;
    }
  }

  #task(message: RunMessage, item: number): RunningTask {
    const control = this.#control;
    const idPrefix = this.#idPrefix;
    const post = this.#post;
    return {
      name: message.name,
      args: message.args[item] ?? [],
      attempt: message.attempts[item] ?? 1,
      get id(): string {
        const id = message.ids[item] as number | string;
        return typeof id === 'string' ? id : taskId(idPrefix, id);
      },
      isStopRequested: () => control.isStopRequested(item),
      report: (progress: Progress) => post({ kind: 'progress', item, progress }),
    };
  }

  #answer(batch: Batch): void {
    const transfer: Transferable[] = [];
    const results = batch.results.map((value) => {
      transfer.push(...takeTransfers(value));
      return unwrapTransferred(value);
    });
    try {
      const buffers = findBuffers(results);
      this.#post(
        { kind: 'done', results, runMs: batch.runMs, ...(buffers && { buffers }), ...batch.failed() },
        transfer,
      );
    } catch (problem) {
      // Something in there can't be cloned (or transferred): find which, and let the others through.
      for (const [item, value] of batch.results.entries()) {
        const isSound = results.length > 1 && takeTransfers(value).length === 0 && isCloneable(results[item]);
        if (isSound) continue;
        results[item] = undefined;
        batch.fail(item, 'uncloneable', uncloneable(problem));
      }
      const buffers = findBuffers(results);
      this.#post({ kind: 'done', results, runMs: batch.runMs, ...(buffers && { buffers }), ...batch.failed() });
    }
  }
}

/**
 * What was printed has arrived. Without that it could be lost: nobody waits for the output of a thread, neither when it
 * is ended nor when the process exits.
 */
async function printed(): Promise<void> {
  for (const stream of [process.stdout, process.stderr]) {
    if (isPrinting(stream)) await new Promise((resolve) => stream.write('', resolve));
  }
}

function isPrinting(stream: NodeJS.WriteStream): boolean {
  return stream.writableLength > 0 && stream.writable;
}

/** What the items of one batch came to. */
class Batch {
  readonly results: unknown[];
  readonly runMs: number[];
  readonly #failures: WireFailure[] = [];

  constructor(items: number) {
    this.results = new Array(items).fill(undefined);
    this.runMs = new Array(items).fill(0);
  }

  fail(item: number, kind: FailureKind, error: unknown): void {
    this.#failures.push({ item, kind, error: encodeThrown(error) });
  }

  failed(): { failures?: readonly WireFailure[] } {
    return this.#failures.length === 0 ? {} : { failures: this.#failures };
  }
}

function uncloneable(cause: unknown): TaskwardenError {
  return new TaskwardenError(
    'RESULT_NOT_CLONEABLE',
    `the result can't be copied back from the thread: ${(cause as Error).message}; ` +
      'return plain data, without functions, sockets or other live things',
    { cause },
  );
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof (value as { then?: unknown } | null | undefined)?.then === 'function';
}
