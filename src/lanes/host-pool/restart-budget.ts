/**
 * Stops a lane from starting hosts for ever that die as they start. After 3 failures within 5 s the budget is spent, until
 * 5 s have passed since the last failure (then one more start is tried), a start succeeds, or it is reset.
 * The idea is Elixir's restart intensity, https://hexdocs.pm/elixir/Supervisor.html.
 */
import { TaskwardenError } from '../../base/errors.ts';
import { messageOf } from '../../base/foreign-value.ts';
import { elapsed } from '../../platform/globals.ts';
import type { HostKind } from '../lane.ts';

const failures = 3;
const withinMs = 5_000;

export class RestartBudget {
  /** The times of the last failures. */
  #failedAt: readonly number[] = [];
  #isExceeded = false;
  #cause: unknown;

  /** Why the last start failed. */
  get cause(): unknown {
    return this.#cause;
  }

  get isSpent(): boolean {
    return this.#isExceeded && elapsed() - (this.#failedAt.at(-1) ?? 0) < withinMs;
  }

  /** Returns whether it is spent now, and was not before. */
  spend(cause: unknown): boolean {
    const wasSpent = this.isSpent;
    this.#cause = cause;
    this.#failedAt = [...this.#failedAt, elapsed()].slice(-failures);
    const [first = 0, last = 0] = [this.#failedAt[0], this.#failedAt.at(-1)];
    this.#isExceeded ||= this.#failedAt.length === failures && last - first <= withinMs;
    return this.isSpent && !wasSpent;
  }

  reset(): void {
    this.#failedAt = [];
    this.#isExceeded = false;
    this.#cause = undefined;
  }

  /** The error for those who need a host while none is started. */
  error(kind: HostKind): TaskwardenError {
    const { cause } = this;
    const [hosts, pool] = kind === 'thread' ? ['threads', 'threads'] : ['children', 'processes'];
    return new TaskwardenError(
      'LANE_BROKEN',
      `${hosts} die as they start, so no more are started for now: ${messageOf(cause)}; ` +
        `fix the cause, then configure() the ${pool}, or try again in a few seconds`,
      { cause },
    );
  }
}
