/**
 * The steps and the checkpoint of a task, seen from one attempt: what earlier attempts have kept is given again, and what
 * this one does is kept before it goes on. It does not know who keeps it. What is kept is bytes all the way, which only this
 * file writes and reads.
 */
import { deserialize, serialize } from 'node:v8';
import { TaskwardenError } from '../../base/errors.ts';
import { isInstance, messageOf } from '../../base/foreign-value.ts';
import { is, rules } from '../../base/options.ts';

/** What the attempts of a task have kept, by name. */
export type KeptWork = ReadonlyMap<string, Uint8Array>;

/** Who keeps it, and for whom. */
export interface WorkKeeper {
  readonly id: string;
  readonly name: string;
  readonly hasEnded: boolean;
  /** What the attempts before this one have kept. */
  readonly keptWork: KeptWork | undefined;
  /** Resolves when it is kept. */
  keepWork(name: string, work: Uint8Array): Promise<void>;
}

/** In bytes: a task keeps no more than this, its names included. */
const mostKept = 2 ** 20;

/** In characters. */
const longestName = 200;

const stepPrefix = 'step:';
const checkpointName = 'checkpoint';

const isName = is(
  `a string that is not empty, of at most ${longestName} characters`,
  (name) => typeof name === 'string' && name !== '' && name.length <= longestName && !/[\0\p{Surrogate}]/u.test(name),
);

export class Steps {
  readonly #keeper: WorkKeeper;
  /** Of the steps of this attempt, without those that have failed. */
  readonly #names = new Set<string>();
  /** How much is kept under each name, in bytes. */
  #sizes: Map<string, number> | undefined;
  #checkpoint: Uint8Array | undefined;

  constructor(keeper: WorkKeeper) {
    this.#keeper = keeper;
    this.#checkpoint = keeper.keptWork?.get(checkpointName);
  }

  async step<T>(name: string, fn: () => T): Promise<Awaited<T>> {
    isName(name, 'the name of a step');
    rules.function(fn, `what step '${name}' is to do`);
    const what = `the result of step '${name}'`;
    this.#refuseIfEnded(`step '${name}'`);
    if (this.#names.has(name)) throw this.#duplicate(name);
    this.#names.add(name);
    const kept = this.#keeper.keptWork?.get(stepPrefix + name);
    if (kept !== undefined) return this.#read(kept, what) as Awaited<T>;
    try {
      const { work, copy } = this.#write(await fn(), what);
      await this.#keep(stepPrefix + name, work, what);
      return copy as Awaited<T>;
    } catch (error) {
      this.#names.delete(name); // it may be tried again
      throw error;
    }
  }

  async checkpoint(data: unknown): Promise<void> {
    const what = 'the checkpoint';
    this.#refuseIfEnded(what);
    const { work } = this.#write(data, what);
    await this.#keep(checkpointName, work, what);
    this.#checkpoint = work;
  }

  get checkpointed(): unknown {
    return this.#checkpoint === undefined ? undefined : this.#read(this.#checkpoint, 'the checkpoint');
  }

  async #keep(name: string, work: Uint8Array, what: string): Promise<void> {
    this.#refuseIfEnded(what);
    this.#sizes ??= new Map(
      [...(this.#keeper.keptWork ?? [])].map(([each, { length }]) => [each, each.length + length]),
    );
    const before = this.#sizes.get(name);
    this.#sizes.set(name, name.length + work.length);
    const total = [...this.#sizes.values()].reduce((sum, size) => sum + size, 0);
    try {
      if (total > mostKept) throw this.#error('WORK_TOO_LARGE', `${what} is too large: ${tooLarge(total)}`);
      await this.#keeper.keepWork(name, work);
    } catch (error) {
      if (before === undefined) this.#sizes.delete(name);
      else this.#sizes.set(name, before);
      throw error;
    }
  }

  /** What is kept of a value, and what will be read of that. */
  #write(value: unknown, what: string): { readonly work: Uint8Array; readonly copy: unknown } {
    try {
      const work = serialize(value);
      return { work, copy: deserialize(work) };
    } catch (cause) {
      const why = isInstance(cause, RangeError) ? 'it is nested too deeply, or too large' : messageOf(cause);
      const message = `${what} can't be kept (${why}); give plain data, without functions, sockets or other live things`;
      throw this.#error('RESULT_NOT_CLONEABLE', message, cause);
    }
  }

  #read(work: Uint8Array, what: string): unknown {
    try {
      return deserialize(work);
    } catch (cause) {
      const message = `${what} was kept, and can't be read here: ${messageOf(cause)}; was it kept by a later version of Node?`;
      throw this.#error('RESULT_NOT_CLONEABLE', message, cause);
    }
  }

  #refuseIfEnded(what: string): void {
    if (!this.#keeper.hasEnded) return;
    throw this.#error('NOT_IN_TASK', `${what} can't be kept: the task has ended; await it inside the task`);
  }

  #duplicate(name: string): TaskwardenError {
    const message = `there is a step '${name}' already: each step of a task has a name of its own, as \`email \${user.id}\``;
    return this.#error('DUPLICATE_STEP', message);
  }

  #error(code: ConstructorParameters<typeof TaskwardenError>[0], problem: string, cause?: unknown): TaskwardenError {
    const { id: taskId, name } = this.#keeper;
    const message = `task "${name}": ${problem}`;
    return new TaskwardenError(code, message, { taskId, ...(cause !== undefined && { cause }) });
  }
}

function tooLarge(total: number): string {
  return `the task would keep ${total} bytes, and ${mostKept} are the most; keep a path, or an id, of what is large`;
}
