/** Where the deadlines of the jobs of a queue are kept, by the clock of the server; Redis and PostgreSQL each have their own. */

/** What is due. */
export interface DueDeadlines {
  readonly marks: readonly string[];
  /** Until when nobody else gets these, as the server has it. */
  readonly takenUntil: string;
  /** After how long to look again, in milliseconds; undefined if there are none. */
  readonly nextMs: number | undefined;
}

/** A deadline goes by its mark, of which another job with the same id has another one. */
export interface DeadlineStore {
  /** So much time begins now. */
  start(marks: readonly string[], ms: number): Promise<void>;
  /** How much of it is left, in milliseconds; 0 or less if it is over, undefined if nothing is known of it. */
  left(mark: string): Promise<number | undefined>;
  /** Those that are over, some at a time. For so long nobody else gets them. */
  due(lockMs: number): Promise<DueDeadlines>;
  /** It is not looked at any more. @param takenUntil If given: unless it was started or taken again since. */
  end(mark: string, takenUntil?: string): Promise<void>;
}

/** How many are due at a time. */
export const dueAtOnce = 100;
