/** `taskwarden map`: calls one function for many inputs, on all cores. */
import { hasCode } from '../../base/errors.ts';
import { type BackgroundTask, TaskSupervisor, tasksFrom } from '../../index.ts';
import type { TaskFunction } from '../../task/definition/definition.ts';
import { mapHelp } from '../help.ts';
import { onStopSignal } from '../stop-signals.ts';
import { UsageError } from '../usage-error.ts';
import { argumentsOf, standardInput } from './inputs.ts';
import { errorFields, jsonLine } from './json-line.ts';
import { type MapArguments, parseMapArguments } from './map-arguments.ts';
import { Output, openOutputFile } from './output.ts';
import { ProgressBar } from './progress-bar.ts';
import { summarize } from './summary.ts';
import { Tally } from './tally.ts';

/** Why a run ends before all inputs are done. */
interface StopCause {
  readonly exitCode: number;
  readonly message?: string;
  /** Prints nothing: the reader of the output has closed it. */
  readonly isQuiet?: boolean;
}

/** Resolves with the exit code. */
export async function map(argv: readonly string[]): Promise<number> {
  const given = parseMapArguments(argv);
  if (given === undefined) {
    process.stdout.write(mapHelp);
    return 0;
  }
  const { stdout, stderr } = process;
  const file = given.outputFile === undefined ? undefined : await openOutputFile(given.outputFile);
  const tally = new Tally();
  const bar = stderr.isTTY ? new ProgressBar(tally, stderr) : undefined;
  redirectPrints(bar);
  const output = new Output(file ?? stdout, {
    ordered: given.ordered,
    closes: file !== undefined,
    onBroken: (error) => run.stop(brokenOutput(error, tally)),
    ...(bar !== undefined && file === undefined && stdout.isTTY && { around: (write) => bar.above(write) }),
  });
  await using run = new MapRun(given, output, tally);
  using _signals = onStopSignal((exitCode, count) => {
    run.stop({ exitCode });
    if (count === 1) return;
    bar?.stop();
    stderr.write(summarize(tally, true));
    process.exit(exitCode);
  });
  bar?.start();
  const cause = await run.finish();
  bar?.stop();
  if (cause?.isQuiet) return cause.exitCode;
  if (cause?.message !== undefined) stderr.write(`taskwarden: ${cause.message}\n`);
  if (cause?.message === undefined || tally.done > 0) stderr.write(summarize(tally, cause !== undefined));
  return cause?.exitCode ?? (tally.failed > 0 ? 1 : 0);
}

/** Redirects what functions print to standard error, above the bar: standard output has only results. */
function redirectPrints(bar: ProgressBar | undefined): void {
  Object.defineProperty(process, 'stdout', { value: bar?.streamAbove() ?? process.stderr });
  if (bar !== undefined) Object.defineProperty(process, 'stderr', { value: bar.streamAbove() });
}

function brokenOutput(error: NodeJS.ErrnoException, tally: Tally): StopCause {
  if (error.code === 'EPIPE') return { exitCode: tally.failed > 0 ? 1 : 0, isQuiet: true }; // as by `| head`
  return { exitCode: 1, message: `can't write results: ${error.message}` };
}

interface Item {
  readonly index: number;
  readonly input: unknown;
}

class MapRun implements AsyncDisposable {
  readonly #given: MapArguments;
  readonly #output: Output;
  readonly #tally: Tally;
  readonly #supervisor: TaskSupervisor;
  readonly #task: BackgroundTask<TaskFunction>;
  /** How many inputs are read ahead of the written results: enough that no thread has to wait for one. */
  readonly #ahead: number;
  readonly #stopped = new AbortController();
  /** The inputs whose outcome is not known yet, by the arguments of their call. */
  readonly #items = new Map<readonly unknown[], Item>();
  #cause: StopCause | undefined;

  constructor(given: MapArguments, output: Output, tally: Tally) {
    const { concurrency, target, taskOptions, inputs } = given;
    const pool = { poolSize: concurrency, reserveNormal: 0, reserveHigh: 0 };
    this.#given = given;
    this.#output = output;
    this.#tally = tally;
    this.#tally.total = inputs?.length;
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
    this.#ahead = taskOptions.priority === 'critical' ? concurrency : concurrency * 16; // no pool limits critical tasks
  }

  /**
   * Submits nothing more, cancels waiting tasks, and asks running ones to stop in their grace period. The first cause
   * counts.
   */
  stop(cause: StopCause): void {
    if (this.#cause !== undefined) return;
    this.#cause = cause;
    this.#stopped.abort();
    void this.#supervisor.stop({ cancelTasks: true });
  }

  /** Processes the inputs. Resolves with the cause if it was stopped early. */
  async finish(): Promise<StopCause | undefined> {
    const { ordered } = this.#given;
    const outcomes = this.#task.map(this.#calls(), { settle: true, ordered, concurrency: this.#ahead });
    for await (const outcome of outcomes) {
      const item = this.#items.get(outcome.input) as Item;
      this.#items.delete(outcome.input);
      await this.#output.put(item.index, this.#lineOf(item, outcome));
    }
    await this.#output.end();
    await this.#supervisor.stop(); // so that the output of its threads comes before the summary
    return this.#cause;
  }

  /** The arguments of each call. An input that can't be read has failed, and gets none. */
  async *#calls(): AsyncGenerator<unknown[], void, undefined> {
    const { inputs, json } = this.#given;
    let index = 0;
    try {
      for await (const text of inputs ?? standardInput(this.#stopped.signal)) {
        if (this.#cause !== undefined) return;
        try {
          const item = { index, input: json ? (JSON.parse(text) as unknown) : text };
          const call = [...argumentsOf(item.input)];
          this.#items.set(call, item);
          yield call;
        } catch (error) {
          await this.#output.put(index, this.#failure({ index, input: text }, error));
        }
        index += 1;
      }
      this.#tally.total = index;
    } catch (error) {
      this.stop({ exitCode: 1, message: `can't read standard input: ${(error as Error).message}` });
    }
  }

  /** The result line of an input; undefined if its task was canceled. */
  #lineOf(item: Item, outcome: PromiseSettledResult<unknown>): string | undefined {
    if (outcome.status === 'fulfilled') {
      const { value } = outcome;
      try {
        const line = jsonLine({ ...item, result: hasJson(value) ? value : null });
        this.#tally.succeed();
        return line;
      } catch (error) {
        return this.#failure(item, error);
      }
    }
    const { reason } = outcome;
    if (this.#cause !== undefined && hasCode(reason, 'TASK_CANCELED', 'SUPERVISOR_STOPPED')) return undefined;
    if (!hasCode(reason, ...unloadable)) return this.#failure(item, reason);
    this.stop({ exitCode: 2, message: reason.message });
    return undefined;
  }

  #failure(item: Item, error: unknown): string {
    this.#tally.fail({ ...item, error });
    return jsonLine({ ...item, error: errorFields(error) });
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
