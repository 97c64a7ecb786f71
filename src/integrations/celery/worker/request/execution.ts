/** Runs a request as a task of a supervisor, and passes on what the task says while it runs. */
import {
  type BackgroundTask,
  courierKit,
  type EndReason,
  type Progress,
  type TaskFunction,
} from '../../../../index.ts';
import { fromPython } from '../../protocol/json.ts';
import type { Request } from './request.ts';

const { hasCode, submitterOf, Timer, untilAborted } = courierKit;

export type Outcome =
  | { readonly kind: 'succeeded'; readonly result: unknown }
  | { readonly kind: 'failed'; readonly error: unknown; readonly endReason: EndReason | undefined }
  /** The supervisor stopped before it was finished. */
  | { readonly kind: 'undone' };

/** In milliseconds; undefined: none. */
export interface RunLimits {
  readonly hardMs: number | undefined;
  readonly softMs: number | undefined;
}

export interface ExecutionListener {
  onProgress(progress: Progress): void;
  onMessage(data: unknown): void;
}

/** The longest run time of a request: the shortest of all that were set. */
export function hardLimitMs(...limits: readonly (number | undefined)[]): number | undefined {
  const shortest = Math.min(...limits.map((limit) => limit ?? Infinity));
  return shortest === Infinity ? undefined : shortest;
}

/**
 * Resolves when it has ended. A soft time limit asks the task to finish, as `handle.stop()` does; what it then returns is its
 * result. Keyword arguments are an object after the other arguments, where there are any.
 */
export async function execute(
  request: Request,
  target: BackgroundTask<TaskFunction>,
  limits: RunLimits,
  listener: ExecutionListener,
): Promise<Outcome> {
  const { message, signal } = request;
  const { options } = target.spec;
  const timeoutMs = hardLimitMs(limits.hardMs, options.timeoutMs);
  const run = target.with({
    delayMs: 0,
    retries: 0, // the message is sent again
    idempotencyKey: request.id,
    ...(timeoutMs !== undefined && { timeoutMs }),
  });
  const submitter = submitterOf(options);
  let softLimit: SoftLimit | undefined;
  try {
    const args = fromPython(message.args) as unknown[];
    if (Object.keys(message.kwargs).length > 0) args.push(fromPython(message.kwargs));
    while (!signal.aborted && !submitter.hasRoom(run.spec.options)) {
      await untilAborted(submitter.capacity(run.spec.options.priority), signal);
    }
    if (signal.aborted) return { kind: 'undone' };
    const handle = run.deliver({ id: request.id, attempt: message.retries + 1 }, args);
    request.submitted(handle);
    handle.onProgress((progress) => listener.onProgress(progress));
    if (limits.softMs !== undefined) softLimit = new SoftLimit(handle, limits.softMs);
    for await (const data of handle.messages()) listener.onMessage(data);
    return { kind: 'succeeded', result: await handle };
  } catch (error) {
    const info = request.handle?.info;
    if (info?.endReason === 'shutdown' || (!info?.attempt && hasCode(error, 'SUPERVISOR_STOPPED'))) {
      return { kind: 'undone' };
    }
    return { kind: 'failed', error, endReason: info?.endReason };
  } finally {
    softLimit?.cancel();
  }
}

type Handle = NonNullable<Request['handle']>;

/** Counts from when the task has started. */
class SoftLimit {
  readonly #handle: Handle;
  readonly #limitMs: number;
  #timer: InstanceType<typeof Timer>;

  constructor(handle: Handle, limitMs: number) {
    this.#handle = handle;
    this.#limitMs = limitMs;
    this.#timer = this.#after(limitMs);
  }

  #after(ms: number): InstanceType<typeof Timer> {
    return new Timer(ms, () => {
      const { timeStarted = Date.now() } = this.#handle.info;
      const leftMs = timeStarted + this.#limitMs - Date.now();
      if (leftMs > 0) this.#timer = this.#after(leftMs);
      else void this.#handle.stop();
    });
  }

  cancel(): void {
    this.#timer.cancel();
  }
}
