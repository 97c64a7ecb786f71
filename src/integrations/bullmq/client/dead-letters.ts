/** The failed jobs of a queue: listed, redriven or removed. A job that can't be read is listed, too, and can be removed. */
import type { DeadLetter } from '../../../index.ts';
import type { DeadlineWatch } from '../deadlines/deadline-watch.ts';
import { deadlineOf } from '../deadlines/job-deadline.ts';
import { deadLetterOf, unreadLetter } from '../job/job-format.ts';
import { isTaskMalformed } from '../job/job-reader.ts';
import type { Asked, Link } from '../server/link.ts';
import { isReserved } from '../server/names.ts';

export class DeadLetters {
  readonly #link: Link;
  readonly #watch: DeadlineWatch;

  constructor(link: Link, watch: DeadlineWatch) {
    this.#link = link;
    this.#watch = watch;
  }

  list(
    queue: string,
    { offset = 0, max = 100 }: { readonly offset?: number; readonly max?: number },
  ): Promise<DeadLetter[]> {
    return this.#link.ask(queue, 'its dead letters are not known', async (asked) => {
      const ids = await this.#ids(asked, offset, max);
      const letters = await Promise.all(ids.map((id) => this.#read(asked, id)));
      return letters.filter((letter) => letter !== undefined);
    });
  }

  async #read({ queue }: Asked, id: string): Promise<DeadLetter | undefined> {
    try {
      const job = await queue.find(id);
      return job && deadLetterOf(job, queue.name);
    } catch (error) {
      if (!isTaskMalformed(error)) throw error;
      return unreadLetter(id, error, await queue.claims.timeFailed(id));
    }
  }

  async #ids({ queue }: Asked, offset: number, max: number): Promise<string[]> {
    const last = max === Infinity ? -1 : offset + max - 1;
    const ids = (await queue.backend.getRanges(['failed'], offset, last, true)).flat();
    return ids.filter((id) => !isReserved(id));
  }

  redrive(queue: string, ids?: readonly string[]): Promise<number> {
    return this.#forEach(queue, ids, 'dead letters may not have been redriven', async ({ queue: bull }, id) => {
      const job = await bull.find(id).catch(nothingIfMalformed);
      if (job === undefined) return false;
      const deadline = deadlineOf(job);
      if (deadline !== undefined) await bull.deadlines.start([deadline.mark], deadline.ms);
      if (deadline !== undefined) this.#watch.lookIn(queue, deadline.ms);
      await bull.claims.renew(id);
      await bull.backend.clearLogs(id);
      await bull.backend.retryFinishedJob(job, 'failed', { resetAttemptsMade: true }); // how often it was started stays: what it has kept is looked for by that
      return true;
    });
  }

  remove(queue: string, ids?: readonly string[]): Promise<number> {
    return this.#forEach(queue, ids, 'dead letters may not have been removed', async ({ queue: bull }, id) => {
      return (await bull.backend.remove(id, false)) === 1;
    });
  }

  /** Calls `act` for one after the other, in order. Returns for how many it was true. */
  #forEach(
    queue: string,
    given: readonly string[] | undefined,
    what: string,
    act: (asked: Asked, id: string) => Promise<boolean>,
  ): Promise<number> {
    return this.#link.ask(queue, what, async (asked) => {
      let done = 0;
      // Only those that are there now, not those that fail again meanwhile.
      const ids = given ?? (await this.#ids(asked, 0, Infinity));
      for (const id of ids) {
        const isDead = given === undefined || (!isReserved(id) && (await asked.queue.backend.isFinished(id)) === 2);
        if (isDead && (await act(asked, id).catch(falseIfGone))) done += 1;
      }
      return done;
    });
  }
}

/** A job that can't be read is not redriven: no worker could read it either. */
function nothingIfMalformed(error: unknown): undefined {
  if (!isTaskMalformed(error)) throw error;
}

/** BullMQ's errors for a job that was moved or removed meanwhile have a number as code. */
export function falseIfGone(error: unknown): false {
  if (typeof (error as { readonly code?: unknown }).code === 'number') return false;
  throw error;
}
