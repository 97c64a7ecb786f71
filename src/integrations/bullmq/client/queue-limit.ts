/**
 * Keeps queues from growing over their limit: looks how many wait before it lets more in, one adder at a time. Those who
 * want to wait for room are let in by their order. Clients that add at the same moment on several machines can exceed the
 * limit together by what they add.
 */
import { courierKit, type WaitOptions } from '../../../index.ts';
import type { Link } from '../server/link.ts';

const { onAbort, pause, queueFull } = courierKit;

/** How often it is looked for room, in milliseconds. */
const lookMs = 50;

interface FillOptions extends WaitOptions {
  readonly wait: boolean;
}

export class RoomKeeper {
  readonly #link: Link;
  readonly #maxQueued: number;
  /** By queue: who adds now, and who waits for room. */
  readonly #adders = new Map<string, Turns>();
  readonly #waiters = new Map<string, Turns>();

  constructor(link: Link, maxQueued: number) {
    this.#link = link;
    this.#maxQueued = maxQueued;
  }

  /** Puts all of them, or none; those who wait, one part after the other. */
  async fill<T>(
    queue: string,
    tasks: readonly T[],
    { wait, signal }: FillOptions,
    put: (tasks: readonly T[]) => Promise<void>,
  ): Promise<void> {
    if (this.#maxQueued === Infinity) return put(tasks);
    const adders = turnsOf(this.#adders, queue);
    const putSome = (most: number) =>
      adders.take(() => this.#putSome(queue, tasks.slice(tasks.length - most), wait, put));
    if (!wait) return void (await putSome(tasks.length));
    let hasBegun = false;
    const turn = turnsOf(this.#waiters, queue).take(async () => {
      hasBegun = true;
      const either = this.#link.endOr(signal);
      for (let left = tasks.length; left > 0; ) {
        signal?.throwIfAborted();
        this.#link.refuseIfClosed();
        left -= await putSome(left);
        if (left > 0) await pause(lookMs, either);
      }
    });
    await (signal === undefined ? turn : endedBy(signal, turn, () => !hasBegun));
  }

  async #putSome<T>(
    queue: string,
    tasks: readonly T[],
    canWait: boolean,
    put: (tasks: readonly T[]) => Promise<void>,
  ): Promise<number> {
    const room = await this.#link.ask(queue, 'whether it has room is not known', async ({ queue: { backend } }) => {
      const counts = await backend.getCounts(['waiting', 'prioritized', 'delayed']);
      return this.#maxQueued - counts.reduce((sum, count) => sum + count, 0);
    });
    const count = Math.min(Math.max(room, 0), tasks.length);
    if (count < tasks.length && !canWait) throw queueFull(queue, this.#maxQueued);
    if (count > 0) await put(tasks.slice(0, count));
    return count;
  }
}

/** One after the other. */
class Turns {
  #last: Promise<unknown> = Promise.resolve();

  take<R>(act: () => Promise<R>): Promise<R> {
    const turn = this.#last.then(act, act);
    this.#last = turn.catch(() => {});
    return turn;
  }
}

function turnsOf(all: Map<string, Turns>, queue: string): Turns {
  let turns = all.get(queue);
  if (turns === undefined) {
    turns = new Turns();
    all.set(queue, turns);
  }
  return turns;
}

/** The turn; or its end by the signal while it is still somebody else's, whose turn may last. */
function endedBy<R>(signal: AbortSignal, turn: Promise<R>, isInLine: () => boolean): Promise<R> {
  return new Promise((resolve, reject) => {
    const unlisten = onAbort(signal, () => {
      if (isInLine()) reject(signal.reason);
    });
    turn.then(resolve, reject).finally(unlisten);
  });
}
