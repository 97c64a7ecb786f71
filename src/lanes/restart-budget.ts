/**
 * Stops a lane from starting for ever what dies as it starts: after 3 failures within 5 s the budget is spent, until
 * 5 s have passed since the last one (then one more may try), a start succeeds, or someone resets it.
 * The idea is Elixir's restart intensity, https://hexdocs.pm/elixir/Supervisor.html.
 */

const failures = 3;
const withinMs = 5_000;

export class RestartBudget {
  #failedAt: number[] = [];
  #cause: unknown;

  /** Why the last start failed. */
  get cause(): unknown {
    return this.#cause;
  }

  get isSpent(): boolean {
    const [first, , last] = this.#failedAt;
    if (first === undefined || last === undefined) return false;
    return last - first <= withinMs && performance.now() - last < withinMs;
  }

  spend(cause: unknown): void {
    this.#cause = cause;
    this.#failedAt = [...this.#failedAt, performance.now()].slice(-failures);
  }

  reset(): void {
    this.#failedAt = [];
    this.#cause = undefined;
  }
}
