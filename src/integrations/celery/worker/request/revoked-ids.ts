/** The ids of revoked tasks, as Celery keeps them: as many as it keeps, and as long. They are in memory only. */

/** As in Celery: `CELERY_WORKER_REVOKES_MAX` and `CELERY_WORKER_REVOKE_EXPIRES`. */
const mostIds = 50_000;
const keptMs = 10_800_000;

export class RevokedIds {
  /** When each was added, in epoch milliseconds; the oldest first. */
  readonly #times = new Map<string, number>();

  add(id: string, time: number = Date.now()): void {
    this.#times.delete(id);
    this.#times.set(id, time);
    this.#purge();
  }

  has(id: string): boolean {
    const time = this.#times.get(id);
    return time !== undefined && time > Date.now() - keptMs;
  }

  get ids(): readonly string[] {
    this.#purge();
    return [...this.#times.keys()];
  }

  #purge(): void {
    const before = Date.now() - keptMs;
    for (const [id, time] of this.#times) {
      if (this.#times.size <= mostIds && time > before) return;
      this.#times.delete(id);
    }
  }
}
