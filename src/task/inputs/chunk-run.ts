/**
 * Runs the inputs of a chunk one after the other, where they run, and tells the outcome of each before the next begins. It
 * ends early when its time is over, when it is asked to stop, after a failure that ends the `all()`, or when the inputs that
 * have not begun are recalled.
 */
import { TaskwardenError } from '../../base/errors.ts';
import { fieldOf, isThenable } from '../../base/foreign-value.ts';
import { now } from '../../platform/clock.ts';
import type { TaskFunction } from '../definition/definition.ts';
import { explainModuleWait } from '../definition/load-phase.ts';
import { currentRun, type RunningTask, runInTask } from '../inside/context.ts';
import { exhaust, isYielding } from '../inside/run.ts';
import { unwrapTransferred } from '../inside/transferred.ts';
import { uncloneableResult } from '../inside/uncloneable-result.ts';
import type { ChunkHeader, Input } from './chunk.ts';
import { InputRun } from './input-run.ts';
import { ResultBlock } from './result-block.ts';

/** Wraps a function so that it takes a chunk. It returns how many inputs of it have ended. */
export function overInputs(fn: TaskFunction): TaskFunction {
  return function (this: unknown, header: ChunkHeader, ...values: unknown[]) {
    return new ChunkRun(currentRun() as RunningTask, header, values, fn, this).run();
  };
}

class ChunkRun {
  readonly #run: RunningTask;
  readonly #header: ChunkHeader;
  readonly #values: readonly unknown[];
  readonly #fn: TaskFunction;
  readonly #receiver: unknown;
  readonly #block: ResultBlock | undefined;
  readonly #until: number;
  #inputRun: InputRun;
  /** How many inputs have ended. */
  #ended = 0;
  /** Where the arguments of the next input are. */
  #at = 0;
  #hasFailed = false;
  #isRecalled = false;

  constructor(run: RunningTask, header: ChunkHeader, values: readonly unknown[], fn: TaskFunction, receiver: unknown) {
    this.#run = run;
    this.#header = header;
    this.#values = values;
    this.#fn = fn;
    this.#receiver = receiver;
    this.#block = header.results && ResultBlock.from(header.results);
    this.#until = now() + header.chunkMs;
    this.#inputRun = new InputRun(run, header);
    run.listener = { onStop: (reason) => this.#inputRun.stop(reason), onRecall: () => this.#onRecall() };
  }

  run(): number | Promise<number> {
    if (this.#block === undefined) this.#run.post({ topic: 'chunk-begun' });
    const result = this.#runInputs();
    return result === undefined ? this.#end() : this.#goOn(result);
  }

  async #goOn(result: PromiseLike<unknown> | undefined): Promise<number> {
    for (let next = result; next !== undefined; next = this.#runInputs()) {
      try {
        this.#succeed(await next);
      } catch (error) {
        this.#fail(error);
      }
      this.#inputRun.end(); // what is left of it must not see the next input as its own
      this.#inputRun = new InputRun(this.#run, this.#header);
    }
    return this.#end();
  }

  #end(): number {
    this.#inputRun.end();
    this.#run.listener = undefined;
    return this.#ended;
  }

  /** An input runs: the recall comes while it waits, or while it reads messages. */
  #onRecall(): void {
    this.#isRecalled = true;
    this.#run.post({ topic: 'chunk-recalled', begun: Math.min(this.#ended + 1, this.#header.count) });
  }

  /** Runs inputs until one returns a promise, which is returned, or the chunk is over. */
  #runInputs(): PromiseLike<unknown> | undefined {
    return runInTask(this.#inputRun, this.#runSome);
  }

  readonly #runSome = (): PromiseLike<unknown> | undefined => {
    while (this.#mayBegin) {
      if (this.#block?.begin(this.#ended) === false) break; // it was recalled
      const input = this.#nextInput();
      this.#inputRun.begin(this.#ended, input);
      let result: unknown;
      try {
        result = this.#fn.apply(this.#receiver, input as unknown[]);
      } catch (error) {
        this.#fail(error);
        continue;
      }
      if (typeof result === 'object' && result !== null) {
        if (isYielding(result))
          return exhaust(
            result,
            async () => {},
            () => this.#run.stopped,
          );
        if (isThenable(result)) return result;
      }
      this.#succeed(result);
    }
    return undefined;
  };

  get #mayBegin(): boolean {
    if (this.#ended === this.#header.count || (this.#hasFailed && this.#header.endsAtFailure)) return false;
    return this.#ended === 0 || !(this.#isRecalled || this.#run.stopped || now() > this.#until);
  }

  #nextInput(): Input {
    const { arity } = this.#header;
    const from = this.#at;
    this.#at += typeof arity === 'number' ? arity : (arity[this.#ended] as number);
    return this.#values.slice(from, this.#at);
  }

  #succeed(result: unknown): void {
    if (this.#block?.put(this.#ended, result)) {
      this.#ended += 1;
      return;
    }
    const index = this.#ended;
    try {
      this.#run.post({ topic: 'input-outcome', index, hasFailed: false, value: unwrapTransferred(result) });
    } catch (problem) {
      this.#fail(uncloneableResult(problem instanceof TaskwardenError ? fieldOf(problem, 'cause') : problem));
      return;
    }
    this.#endPosted();
  }

  #fail(error: unknown): void {
    this.#hasFailed = true;
    const value = explainModuleWait(error);
    this.#run.post({ topic: 'input-outcome', index: this.#ended, hasFailed: true, value });
    this.#endPosted();
  }

  #endPosted(): void {
    this.#block?.notePosted(this.#ended);
    this.#ended += 1;
  }
}
