/** One run of `taskwarden map`: reads the inputs, calls the function for each, and writes results and the job log. */
import { hasCode } from '../../base/errors.ts';
import { isInstance } from '../../base/foreign-value.ts';
import { type BackgroundTask, type TaskHandle, TaskSupervisor, tasksFrom } from '../../index.ts';
import { Promise, timeOfDay } from '../../platform/globals.ts';
import { type MapTarget, mapTasks } from '../../task/call/map-tasks.ts';
import type { TaskFunction } from '../../task/definition/definition.ts';
import { UsageError } from '../usage-error.ts';
import { describeHalt, isReached } from './halt.ts';
import { argumentsOf, type NumberedInput, numbered, standardInput } from './inputs.ts';
import type { EarlierRuns } from './job-log/earlier-runs.ts';
import type { JobLog } from './job-log/job-log.ts';
import { errorFields, jsonLine } from './json-line.ts';
import type { MapArguments } from './map-arguments.ts';
import type { Output } from './output.ts';
import type { Tally } from './tally.ts';

/** Why a run ends before all inputs are done. */
export interface StopCause {
  /** Undefined: that of a run that comes to its end. */
  readonly exitCode?: number;
  readonly message?: string;
  /** Prints nothing: the reader of the output has closed it. */
  readonly isQuiet?: boolean;
  /** What runs may finish. */
  readonly isSoon?: boolean;
}

export interface MapRunParts {
  readonly given: MapArguments;
  readonly output: Output;
  readonly tally: Tally;
  readonly earlier: EarlierRuns | undefined;
  readonly log: JobLog | undefined;
}

/** An input that is to run, and then its outcome. */
interface Item extends NumberedInput {
  /** Its place among those that run. */
  readonly number: number;
  /** What stands for it in its result line. */
  input: unknown;
  handle?: TaskHandle<unknown>;
  /** Not of one that was canceled. */
  line?: string;
  failure?: { readonly error: unknown };
}

export class MapRun implements AsyncDisposable {
  readonly #parts: MapRunParts;
  readonly #supervisor: TaskSupervisor;
  readonly #task: BackgroundTask<TaskFunction>;
  /** How many inputs are read ahead of the written results: enough that no thread has to wait for one. */
  readonly #ahead: number;
  readonly #stopped = new AbortController();
  /** How many inputs are to run, as far as they were read. */
  #count = 0;
  #cause: StopCause | undefined;

  constructor(parts: MapRunParts) {
    const { given, tally } = parts;
    const { concurrency, target, taskOptions, halt } = given;
    const pool = { poolSize: concurrency, reserveNormal: 0, reserveHigh: 0 };
    this.#parts = parts;
    tally.total = given.inputs?.length;
    // Waiting tasks are normal here, and failures are reported here.
    this.#supervisor = new TaskSupervisor({
      threads: pool,
      processes: pool,
      loop: pool,
      logger: false,
      keepFinished: 0,
      timeoutWarningMs: Infinity,
      timeoutCriticalMs: Infinity,
    });
    const options = { ...taskOptions, supervisor: this.#supervisor };
    const task = tasksFrom<Record<string, TaskFunction>>(target.moduleUrl, options)[target.name];
    if (task === undefined) throw new UsageError(`"${target.name}" can't be the name of a task`);
    this.#task = task;
    // No pool limits critical tasks. And what is submitted begins, however soon the run is to halt.
    const isExact = taskOptions.priority === 'critical' || halt !== undefined;
    this.#ahead = isExact ? concurrency : concurrency * 16;
  }

  /**
   * Reads and submits nothing more. Unless what runs may finish, cancels waiting tasks, and asks running ones to stop in
   * their grace period. The first cause counts, but one that stops what runs comes before one that does not.
   */
  stop(cause: StopCause): void {
    if (this.#cause === undefined || (this.#cause.isSoon && !cause.isSoon)) this.#cause = cause;
    this.#stopped.abort();
    if (!cause.isSoon) void this.#supervisor.stop({ cancelTasks: true });
  }

  /** Processes the inputs. Resolves with the cause if it was stopped early. */
  async finish(): Promise<StopCause | undefined> {
    const { ordered, isDryRun } = this.#parts.given;
    if (isDryRun) {
      for await (const [item] of this.#calls()) await this.#show(item);
    } else {
      const target: MapTarget<unknown> = {
        submit: (item) => this.#submit(item as Item),
        hasRoom: () => true,
        waitForRoom: () => Promise.resolve(),
      };
      const outcomes = mapTasks(target, this.#calls(), { settle: true, ordered, concurrency: this.#ahead });
      for await (const outcome of outcomes) {
        const [item] = (outcome as { readonly input: [Item] }).input;
        await this.#write(item);
      }
    }
    await this.#parts.output.end();
    await this.#supervisor.stop(); // so that the output of its threads comes before the summary
    return this.#cause;
  }

  /** Each input that is to run. One that can't be read has failed, and is not among them. */
  async *#calls(): AsyncGenerator<[Item], void, undefined> {
    const { given, earlier, tally } = this.#parts;
    try {
      for await (const { index, text } of this.#inputs()) {
        if (this.#cause !== undefined) return;
        if (given.resume !== 'retry-failed' && earlier?.skips({ index, text })) {
          tally.skip();
          continue;
        }
        const item: Item = { index, text, number: this.#count, input: text };
        this.#count += 1;
        try {
          if (given.json) item.input = JSON.parse(text);
        } catch (error) {
          this.#fail(item, error);
          await this.#write(item);
          continue;
        }
        yield [item];
      }
      tally.total = this.#count + tally.skipped;
    } catch (error) {
      const { message } = error as Error;
      if (isInstance(error, UsageError)) this.stop({ exitCode: 2, message });
      else this.stop({ exitCode: 1, message: `can't read standard input: ${message}` });
    }
  }

  async *#inputs(): AsyncGenerator<NumberedInput, void, undefined> {
    const { given, earlier, tally } = this.#parts;
    if (given.resume === 'retry-failed') {
      tally.total = earlier?.failedCount;
      yield* earlier?.failedInputs() ?? [];
    } else if (given.inputs === undefined && given.halt?.isPercentage) {
      const lines: string[] = [];
      for await (const line of standardInput(this.#stopped.signal)) lines.push(line);
      tally.total = lines.length;
      yield* numbered(lines);
    } else {
      yield* numbered(given.inputs ?? standardInput(this.#stopped.signal));
    }
  }

  #submit(item: Item): TaskHandle<unknown> {
    const handle = this.#task(...argumentsOf(item.input));
    item.handle = handle;
    handle.then(
      (value) => this.#succeed(item, value),
      (error) => this.#fail(item, error),
    );
    return handle;
  }

  #succeed(item: Item, value: unknown): void {
    const { index, input } = item;
    try {
      item.line = jsonLine({ index, input, result: hasJson(value) ? value : null });
      this.#parts.tally.succeed();
      this.#haltIfReached();
    } catch (error) {
      this.#fail(item, error);
    }
  }

  #fail(item: Item, error: unknown): void {
    if (this.#cause !== undefined && hasCode(error, 'TASK_CANCELED', 'SUPERVISOR_STOPPED')) return;
    if (hasCode(error, ...unloadable)) {
      this.stop({ exitCode: 2, message: error.message });
      return;
    }
    const { index, input } = item;
    item.line = jsonLine({ index, input, error: errorFields(error) });
    item.failure = { error };
    this.#parts.tally.fail({ index, input, error });
    this.#haltIfReached();
  }

  #haltIfReached(): void {
    const { given, tally } = this.#parts;
    const { halt } = given;
    if (halt === undefined || this.#cause !== undefined || !isReached(halt, tally)) return;
    const exitCode = { fail: 1, success: 0, done: undefined }[halt.why];
    this.stop({
      message: describeHalt(halt),
      isSoon: halt.when === 'soon',
      ...(exitCode !== undefined && { exitCode }),
    });
  }

  /** Of a dry run. */
  async #show(item: Item): Promise<void> {
    const { index, input, number } = item;
    this.#parts.tally.succeed();
    await this.#parts.output.put(number, jsonLine({ index, input }));
  }

  /** The line of the job log follows that of the result, so that there is a result for each line of the log. */
  async #write(item: Item): Promise<void> {
    const { output, log } = this.#parts;
    await output.put(item.number, item.line, log && (() => this.#log(log, item)));
  }

  #log(log: JobLog, { index, text, handle, line = '', failure }: Item): void {
    const { timeStarted = timeOfDay(), runMs = 0 } = handle?.info ?? {};
    try {
      log.add({ index, text, startedAt: timeStarted, runMs, resultLine: line, failure });
    } catch (error) {
      this.stop({ exitCode: 1, message: `can't write the job log: ${(error as Error).message}` });
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#supervisor.stop();
  }
}

/** With these codes, no input can succeed. */
const unloadable = ['MODULE_LOAD_FAILED', 'TASK_NOT_DEFINED', 'TASK_UNREACHABLE', 'LANE_BROKEN'] as const;

/** False for values whose field JSON.stringify leaves out. */
function hasJson(value: unknown): boolean {
  return value !== undefined && typeof value !== 'function' && typeof value !== 'symbol';
}
