/**
 * Keeps queues below `maxQueued`: counts the tasks before it adds more, one call at a time. Calls that wait for room are served
 * in order. Clients on several machines that add at the same moment can exceed the limit by what they add.
 */
import { courierKit, type WaitOptions } from '../../../index.ts';
import type { Link } from '../server/link.ts';

const { onAbort, pause, queueFull } = courierKit;

/** How often to look for room, in milliseconds. */
const pollMs = 50;

interface FillOptions extends WaitOptions {
  readonly wait: boolean;
}

export class QueueLimit {
  readonly #link: Link;
  readonly #maxQueued: number;
  /** By queue: the calls that add, and those that wait for room. */
  readonly #adds = new Map<string, SerialQueue>();
  readonly #waits = new Map<string, SerialQueue>();

  constructor(link: Link, maxQueued: number) {
    this.#link = link;
    this.#maxQueued = maxQueued;
  }

  /** Adds all tasks or none; with `wait`, one part after the other. */
  async add<T>(
    queue: string,
    tasks: readonly T[],
    { wait, signal }: FillOptions,
    add: (tasks: readonly T[]) => Promise<void>,
  ): Promise<void> {
    if (this.#maxQueued === Infinity) return add(tasks);
    const adds = serialQueueOf(this.#adds, queue);
    const addSome = (most: number) => adds.run(() => this.#addSome(queue, tasks.slice(tasks.length - most), wait, add));
    if (!wait) return void (await addSome(tasks.length));
    let hasBegun = false;
    const turn = serialQueueOf(this.#waits, queue).run(async () => {
      hasBegun = true;
      const either = this.#link.endOr(signal);
      for (let left = tasks.length; left > 0; ) {
        signal?.throwIfAborted();
        this.#link.refuseIfClosed();
        left -= await addSome(left);
        if (left > 0) await pause(pollMs, either);
      }
    });
    await (signal === undefined ? turn : endedBy(signal, turn, () => !hasBegun));
  }

  async #addSome<T>(
    queue: string,
    tasks: readonly T[],
    canWait: boolean,
    add: (tasks: readonly T[]) => Promise<void>,
  ): Promise<number> {
    const room = await this.#link.ask(queue, 'whether it has room is not known', async ({ queue: { backend } }) => {
      const counts = await backend.getCounts(['waiting', 'prioritized', 'delayed']);
      return this.#maxQueued - counts.reduce((sum, count) => sum + count, 0);
    });
    const count = Math.min(Math.max(room, 0), tasks.length);
    if (count < tasks.length && !canWait) throw queueFull(queue, this.#maxQueued);
    if (count > 0) await add(tasks.slice(0, count));
    return count;
  }
}

/** Runs functions one after the other. */
class SerialQueue {
  #last: Promise<unknown> = Promise.resolve();

  run<R>(act: () => Promise<R>): Promise<R> {
    const turn = this.#last.then(act, act);
    this.#last = turn.catch(() => {});
    return turn;
  }
}

function serialQueueOf(all: Map<string, SerialQueue>, queue: string): SerialQueue {
  let turns = all.get(queue);
  if (turns === undefined) {
    turns = new SerialQueue();
    all.set(queue, turns);
  }
  return turns;
}

/** The result of the turn; or rejects by the signal while the turn has not started, because others may take long. */
function endedBy<R>(signal: AbortSignal, turn: Promise<R>, isInLine: () => boolean): Promise<R> {
  return new Promise((resolve, reject) => {
    const unlisten = onAbort(signal, () => {
      if (isInLine()) reject(signal.reason);
    });
    turn.then(resolve, reject).finally(unlisten);
  });
}
