/** The parts of a bulk: tasks that each run one input, or a chunk of them. */
import type { Priority } from '../../queue/priority.ts';
import { keyOf } from '../../task/call/task-key.ts';
import { type ResolvedTaskOptions, type TaskSpec, withPriority } from '../../task/call/task-options.ts';
import { takingChunk } from '../../task/definition/definition-registry.ts';
import type { AllOptions } from '../../task/inputs/bulk-options.ts';
import { type ChunkHeader, inputId, joinInputs, separate } from '../../task/inputs/chunk.ts';
import type { InputRange } from '../../task/inputs/input-queue.ts';
import { ResultBlock } from '../../task/inputs/result-block.ts';
import { Task } from '../../task/record/task.ts';
import type { TaskOwner } from '../../task/record/task-owner.ts';

/** The smallest memory for results has room for so many. */
const smallestBlock = 64;

export class Part {
  readonly task: Task;
  /** Its inputs, without those that were recalled. */
  range: InputRange;
  /** It runs inputs one after the other, and its result is how many have ended. */
  readonly isChunk: boolean;
  /** When it was known that it had started, on the clock of `now()`. */
  startedAt: number | undefined;
  /** Those of its inputs that had not begun were recalled, or it was asked for them. */
  isRecalled = false;
  /** Only of a chunk that runs in a thread. */
  readonly block: ResultBlock | undefined;
  /** Its first input has begun. Only known without a block. */
  hasBegun = false;
  /** The indexes, in the chunk, of the inputs whose outcome was posted and has arrived. */
  readonly arrived: Set<number> = new Set();

  constructor(task: Task, range: InputRange, block?: ResultBlock) {
    this.task = task;
    this.range = range;
    this.isChunk = range.inputs.length > 1;
    this.block = block;
  }

  /** How many inputs of a chunk have ended. */
  get ended(): number {
    return this.block?.ended ?? this.arrived.size;
  }

  /** How many inputs of a chunk have begun. Without a block, the next one has begun when one has ended. */
  get begun(): number {
    if (this.block !== undefined) return this.block.begun;
    return this.hasBegun ? Math.min(this.arrived.size + 1, this.range.inputs.length) : 0;
  }

  /** The inputs after the first `begun` never begin. Takes them out, and returns them. */
  cut(begun: number): InputRange {
    const { first, inputs, areSingle = false } = this.range;
    this.range = { first, inputs: inputs.slice(0, begun), areSingle };
    return { first: first + begun, inputs: inputs.slice(begun), areSingle };
  }
}

export class PartMaker {
  readonly #bulk: Task;
  readonly #owner: TaskOwner<Task>;
  readonly #nextSequence: () => number;
  #options: ResolvedTaskOptions;
  #chunkSpec: TaskSpec;
  readonly #areSingle: boolean;
  readonly #freeBlocks: ResultBlock[] = [];

  /** @param owner Of tasks of this supervisor. */
  constructor(bulk: Task, owner: TaskOwner<Task>, nextSequence: () => number) {
    const { signal, callback, delayMs, deadlineMs, taskId, ...options } = bulk.options; // the bulk sees to these
    this.#bulk = bulk;
    this.#owner = { ...owner, assignId: (part) => part.options.taskId ?? bulk.id };
    this.#nextSequence = nextSequence;
    this.#options = Object.freeze(options);
    const { timeoutMs, queueTimeoutMs, retries, crashRetries, transfer, idempotencyKey, key } = options;
    const isOwn = [timeoutMs, queueTimeoutMs, transfer, idempotencyKey].some((option) => option !== undefined);
    this.#areSingle = isOwn || typeof key === 'function' || Boolean(retries) || Boolean(crashRetries);
    const definition = takingChunk(bulk.definition);
    this.#chunkSpec = Object.freeze({ definition, options: this.#options, isSubmittedAhead: true });
  }

  /** Whether each part has one input: those are tried again, timed out or limited for themselves. */
  get areSingle(): boolean {
    return this.#areSingle || this.#options.module?.bulkhead.limits !== undefined;
  }

  /** Of the next parts. */
  changePriority(priority: Priority): void {
    this.#chunkSpec = withPriority(this.#chunkSpec, priority);
    this.#options = this.#chunkSpec.options;
  }

  /** Throws what an input throws as it is read, or as its key is made. */
  make(range: InputRange, options: AllOptions): Part {
    return range.inputs.length === 1 ? this.#single(range) : this.#chunk(range, options);
  }

  #single(range: InputRange): Part {
    const { definition } = this.#bulk;
    const options = { ...this.#options, taskId: inputId(this.#bulk.id, range.first) };
    const args: unknown[] = [];
    joinInputs(range.inputs, args);
    const spec: TaskSpec = { definition, options, isSubmittedAhead: true };
    return new Part(this.#newTask(spec, args, keyOf(spec, args)), range);
  }

  #chunk(range: InputRange, { chunkMs = 5, settle = false }: AllOptions): Part {
    const { first, inputs } = range;
    const { type } = this.#options;
    const values: unknown[] = [undefined];
    const arity = joinInputs(inputs, values);
    const block = type === 'thread' ? this.#takeBlock(inputs.length) : undefined;
    const header: ChunkHeader = {
      bulkId: this.#bulk.id,
      first,
      count: inputs.length,
      arity,
      chunkMs,
      endsAtFailure: !settle,
      ...(block && { results: block.buffer }),
    };
    if (type !== 'loop') separate(values);
    values[0] = header;
    return new Part(this.#newTask(this.#chunkSpec, values, this.#bulk.key), range, block);
  }

  #newTask(spec: TaskSpec, args: readonly unknown[], key: string | undefined): Task {
    const task = new Task(spec, args, this.#nextSequence(), this.#owner);
    task.isPart = true;
    if (key !== undefined) task.key = key;
    task.isForgotten = true; // it is not to be found by its id
    if (this.#bulk.carried !== undefined) task.carried = this.#bulk.carried;
    return task;
  }

  #takeBlock(inputs: number): ResultBlock {
    const found = this.#freeBlocks.findIndex(({ capacity }) => capacity >= inputs);
    const [free] = found < 0 ? [] : this.#freeBlocks.splice(found, 1);
    if (free === undefined) return new ResultBlock(Math.max(2 ** Math.ceil(Math.log2(inputs)), smallestBlock));
    free.reset();
    return free;
  }

  /** The chunk has been completed, so that nobody uses its memory any more. */
  release({ block }: Part): void {
    if (block !== undefined) this.#freeBlocks.push(block);
  }
}
