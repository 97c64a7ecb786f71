/** What the world outside has seen of the orders: a line for each thing that was done, with its idempotency key. */
import { appendFileSync, existsSync, readFileSync } from 'node:fs';

export class Ledger {
  readonly #file: string;

  constructor(file: string) {
    this.#file = file;
  }

  /** One small write: a program that is killed has made it, or not. */
  note(what: string, key: string): void {
    appendFileSync(this.#file, `${what} ${key}\n`);
  }

  /** By what was done: how often for each key. */
  read(): Map<string, Map<string, number>> {
    const seen = new Map<string, Map<string, number>>();
    const text = existsSync(this.#file) ? readFileSync(this.#file, 'utf8') : '';
    for (const line of text.split('\n').slice(0, -1)) {
      const [what = '', key = ''] = line.split(' ');
      const keys = seen.get(what) ?? new Map<string, number>();
      seen.set(what, keys.set(key, (keys.get(key) ?? 0) + 1));
    }
    return seen;
  }
}
