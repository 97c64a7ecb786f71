/**
 * A host with the batch that runs in it: how the batch is told to it, what its answer means for each task, and what
 * its death means for each task.
 */
import { TaskwardenError } from '../errors.ts';
import { wireDefinition } from '../task/definition.ts';
import type { Transferable } from '../task/transferred.ts';
import { findBuffers, restoreBuffers } from './buffers.ts';
import { ControlBlock } from './control-block.ts';
import { decodeThrown, encodeThrown, isCloneable } from './error-codec.ts';
import type { Host } from './host.ts';
import type { LaneOutcome, LaneTask } from './lane.ts';
import type { DoneMessage, RunMessage } from './protocol.ts';

/**
 *   starting ──▶ idle ◀──▶ busy
 *       └──────────┴────────┴──▶ ending ──▶ (gone)
 */
export type SeatState = 'starting' | 'idle' | 'busy' | 'ending';

export class Seat<T extends LaneTask> {
  state: SeatState = 'starting';
  /** Absent until it has been made, which can fail. */
  host: Host | undefined;
  /** What runs in it, or will as soon as it is up. */
  batch: readonly T[] = [];
  wasUp = false;
  /** The definition of the batch is being loaded: nothing of the batch has begun. */
  loading = false;
  idleSince = 0;
  /** A batch has come back from it. */
  hasAnswered = false;
  /** Resolves when it is up, or gone. */
  readonly settled: Promise<void>;
  readonly gone: Promise<void>;
  markSettled!: () => void;
  markGone!: () => void;
  readonly #definitions = new Set<number>();

  constructor() {
    this.settled = new Promise((resolve) => {
      this.markSettled = resolve;
    });
    this.gone = new Promise((resolve) => {
      this.markGone = resolve;
    });
  }

  get id(): number {
    return this.host?.id ?? -1;
  }

  /** Sends the batch to the host, which is up. Throws what posting throws; then nothing was sent. */
  post(batch: readonly T[]): void {
    if (batch.length > ControlBlock.capacity) throw new RangeError(`a batch has ${batch.length} items`);
    const host = this.host as Host;
    const [{ definition, name }] = batch as readonly [T];
    this.batch = batch;
    this.loading = !this.#definitions.has(definition.index);
    host.control.reset(batch.length);
    const buffers = batch.flatMap(({ args }, item) => {
      const places = findBuffers(args);
      return places === undefined ? [] : [[item, places] as const];
    });
    const message: RunMessage = {
      kind: 'run',
      definition: definition.index,
      ...(this.loading && { define: wireDefinition(definition) }),
      name,
      ids: batch.map((task) => task.options.taskId ?? task.sequence),
      args: batch.map((task) => task.args),
      attempts: batch.map((task) => task.attempt + 1),
      ...(buffers.length > 0 && { buffers }),
    };
    host.post(message, batch.flatMap(transfersOf));
    this.#definitions.add(definition.index);
  }

  /** Asks one task of the batch to stop. */
  stop(task: T, reason: unknown): void {
    const item = this.batch.indexOf(task);
    this.host?.control.requestStop(item);
    this.host?.post({ kind: 'stop', item, reason: encodeThrown(reason) }, []);
  }

  /** True if the task had not begun, and now never will. */
  withdraw(task: T): boolean {
    return this.host?.control.withdraw(this.batch.indexOf(task)) ?? false;
  }

  /** Whether ending the host is the way to end the task: it runs, or hangs while its module loads. */
  isHeldBy(task: T): boolean {
    return this.loading || (this.host?.control.hasBegun(this.batch.indexOf(task)) ?? false);
  }

  /** The host is to be told the definition again. */
  forget(): void {
    for (const task of this.batch) this.#definitions.delete(task.definition.index);
  }

  /** What the host's answer means for each task of the batch. */
  outcomes({ results, buffers, failures, runMs }: DoneMessage): LaneOutcome[] {
    if (buffers !== undefined) restoreBuffers(results, buffers);
    const { control } = this.host as Host;
    const outcomes = results.map(
      (value, item): LaneOutcome =>
        control.hasBegun(item) ? { kind: 'result', value, runMs: runMs[item] ?? 0 } : { kind: 'withdrawn' },
    );
    for (const { item, kind, error } of failures ?? []) {
      outcomes[item] = { kind, error: decodeThrown(error), runMs: runMs[item] ?? 0 };
      // It may be there the next time: the host is to look again.
      if (kind === 'unloadable') this.forget();
    }
    return outcomes;
  }

  /**
   * What the host's death means for each task of the batch; undefined for one that may be handed over again. A module
   * that kills its host as it loads was loaded for the first task; and what was transferred died with the host.
   */
  fates(exitCode: number | undefined, cause: unknown): (LaneOutcome | undefined)[] {
    if (!this.wasUp) return this.batch.map(() => undefined);
    const { control } = this.host as Host;
    const died: LaneOutcome = { kind: 'died', exitCode, cause };
    let isBlamed = !(this.loading && control.hasBegunLoading);
    return this.batch.map((task, item) => {
      if (control.hasBegun(item)) return died;
      if (!control.withdraw(item)) return { kind: 'withdrawn' };
      if (isBlamed && !isTransferring(task)) return undefined;
      isBlamed = true;
      return died;
    });
  }
}

/** A task that may need its arguments again is given copies. */
function isTransferring({ options }: LaneTask): boolean {
  return options.transfer !== undefined && !options.retries && !options.crashRetries;
}

function transfersOf(task: LaneTask): readonly Transferable[] {
  if (!isTransferring(task)) return [];
  const transfers = task.options.transfer?.(task.args as never) ?? [];
  if (transfers.some(isDetached)) throw new TypeError('a buffer to transfer was handed over before');
  return transfers;
}

function isDetached(value: Transferable): boolean {
  if (!(value instanceof ArrayBuffer) || value.byteLength > 0) return false;
  try {
    new Uint8Array(value);
    return false;
  } catch {
    return true;
  }
}

/** Why a task could not be posted. */
export function unsendable(task: LaneTask, cause: unknown): TaskwardenError {
  const argument = task.args.findIndex((value) => !isCloneable(value));
  const which =
    argument >= 0
      ? `argument ${argument + 1}`
      : isTransferring(task)
        ? 'what its option "transfer" gives'
        : 'its arguments';
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new TaskwardenError(
    'ARGUMENT_NOT_CLONEABLE',
    `task "${task.name}" can't be sent to a thread: ${which} can't be copied (${reason}); pass plain data, without ` +
      "functions, sockets or other live things, or run it with { type: 'loop' }",
    { cause, taskId: task.id },
  );
}

/** Why an answer could not be read. */
export function unreadable(cause: unknown): TaskwardenError {
  return new TaskwardenError(
    'RESULT_NOT_CLONEABLE',
    "the result can't be read: it may hold a buffer that was handed over before; hand each buffer over once",
    { cause },
  );
}
