/** How often functions may begin: what `rate_limit` of remote control sets, for this worker. Each waits in its turn. */
import { courierKit } from '../../../../index.ts';

const { onAbort, Timer } = courierKit;

const unitMs: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000 };

/** Milliseconds between two, of a rate as Celery writes it: `10/s`, `100/m`, `5/h` or a number for a second; 0: no limit. */
export function parseRate(rate: unknown): number | undefined {
  if (rate === null || rate === 0 || rate === '') return 0;
  const match = /^(\d+(?:\.\d+)?)(?:\/([smh]))?$/.exec(String(rate));
  if (match === null) return undefined;
  const [, count = '', unit = 's'] = match;
  return Number(count) === 0 ? 0 : (unitMs[unit] as number) / Number(count);
}

export class Rates {
  readonly #rates = new Map<string, Rate>();

  set(task: string, intervalMs: number): void {
    this.#of(task).setInterval(intervalMs);
  }

  /** Resolves when the function may begin, or the signal aborts. */
  async admit(task: string, signal: AbortSignal): Promise<void> {
    await this.#rates.get(task)?.admit(signal);
  }

  #of(task: string): Rate {
    const rate = this.#rates.get(task) ?? new Rate();
    this.#rates.set(task, rate);
    return rate;
  }
}

class Rate {
  readonly #waiting: (() => void)[] = [];
  #intervalMs = 0;
  #lastTime = -Infinity;
  #timer: InstanceType<typeof Timer> | undefined;

  setInterval(intervalMs: number): void {
    this.#intervalMs = intervalMs;
    this.#next();
  }

  admit(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const end = () => {
        unlisten();
        resolve();
      };
      const unlisten = onAbort(signal, () => {
        const place = this.#waiting.indexOf(end);
        if (place >= 0) this.#waiting.splice(place, 1);
        end();
      });
      this.#waiting.push(end);
      this.#next();
    });
  }

  #next(): void {
    this.#timer?.cancel();
    while (this.#waiting.length > 0) {
      const leftMs = this.#lastTime + this.#intervalMs - performance.now();
      if (leftMs > 0) {
        this.#timer = new Timer(leftMs, () => this.#next());
        return;
      }
      this.#lastTime = performance.now();
      this.#waiting.shift()?.();
    }
  }
}
