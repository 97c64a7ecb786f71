/**
 * Ends the tasks of a courier's queues whose deadline is over. A courier looks when one of those that it knows of is due, and its
 * workers look now and then for those of others; the server sees to it that one courier ends each.
 */
import { courierKit } from '../../../index.ts';
import type { TaskCommands } from '../client/task-commands.ts';
import { isTaskMalformed } from '../job/job-reader.ts';
import type { Asked, Link } from '../server/link.ts';
import { endingMs } from '../worker/bull-queue.ts';
import { deadlineOf, failLate, idOf, tooLate } from './job-deadline.ts';

const { Timer } = courierKit;

/** For how long nobody else looks at one that is due, in milliseconds. */
const lookMs = 10_000;

/** When to look again if the server can't be reached, in milliseconds. */
const retryMs = 1_000;

interface Look {
  readonly timer: courierKit.Timer;
  /** On the clock of `performance.now()`. */
  readonly at: number;
}

export class DeadlineWatch {
  readonly #link: Link;
  readonly #commands: TaskCommands;
  /** By queue: the next time. */
  readonly #looks = new Map<string, Look>();

  constructor(link: Link, commands: TaskCommands) {
    this.#link = link;
    this.#commands = commands;
  }

  /** To be called when one may be due after so long, in milliseconds. */
  lookIn(queue: string, ms: number): void {
    const at = performance.now() + ms;
    const next = this.#looks.get(queue);
    if (this.#link.signal.aborted || (next !== undefined && next.at <= at)) return;
    next?.timer.cancel();
    const timer = new Timer(Math.max(Math.ceil(ms), 0), () => {
      this.#looks.delete(queue);
      void this.#look(queue);
    });
    this.#looks.set(queue, { timer, at });
  }

  async #look(queue: string): Promise<void> {
    try {
      const nextMs = await this.#link.ask(queue, 'deadlines may be late', (asked) => this.#endDue(asked));
      if (nextMs !== undefined) this.lookIn(queue, nextMs);
    } catch {
      this.lookIn(queue, retryMs);
    }
  }

  /** Gives after how long the next one is due. */
  async #endDue(asked: Asked): Promise<number | undefined> {
    for (;;) {
      const { marks, takenUntil, nextMs } = await asked.queue.deadlines.due(lookMs);
      if (marks.length === 0) return nextMs;
      await Promise.all(marks.map((mark) => this.#end(asked, mark, takenUntil)));
    }
  }

  async #end(asked: Asked, mark: string, takenUntil: string): Promise<void> {
    const { queue, server } = asked;
    const id = idOf(mark);
    const job = await queue.find(id).catch(nothingIfMalformed);
    const isOver = job === undefined || job.finishedOn !== undefined || deadlineOf(job)?.mark !== mark;
    const token = crypto.randomUUID();
    const from = isOver ? undefined : await queue.claims.seize(id, token, endingMs);
    const held = from && (await queue.findHeld(id));
    if (held !== undefined) {
      const isHeld = from === 'active' && held.attemptsStarted > 0; // or another courier is about to end it
      const error = tooLate(held, queue.name, isHeld);
      if (!(await failLate(queue.deadlines, held, error, token))) return;
      if (isHeld) await this.#commands.sendCancel(server, queue.name, id, error);
    }
    await queue.deadlines.end(mark, takenUntil);
  }

  close(): void {
    for (const { timer } of this.#looks.values()) timer.cancel();
    this.#looks.clear();
  }
}

function nothingIfMalformed(error: unknown): undefined {
  if (!isTaskMalformed(error)) throw error;
}
