/** Counts what came of the tasks, and prints it as two tables. */
import type { Priority, TaskInfo } from 'taskwarden';

const priorities: readonly Priority[] = ['low', 'normal', 'high', 'critical'];

/** How many failures are printed; all are counted. */
const shownFailures = 10;

export class Tally {
  files = 0;
  bytes = 0;
  gzipBytes = 0;
  readonly failures: string[] = [];
  readonly #waits = new Map<Priority, number[]>();
  readonly #startedAt = performance.now();

  addFile({ bytes, gzipBytes }: { readonly bytes: number; readonly gzipBytes: number }): void {
    this.files += 1;
    this.bytes += bytes;
    this.gzipBytes += gzipBytes;
  }

  addFailure(path: string, error: unknown): void {
    this.failures.push(`${path}: ${error}`);
  }

  addWait({ priority, waitMs }: TaskInfo): void {
    const waits = this.#waits.get(priority);
    if (waits === undefined) this.#waits.set(priority, [waitMs]);
    else waits.push(waitMs);
  }

  /** Millions of bytes a second, so far. */
  get speed(): number {
    return this.bytes / 1e3 / (performance.now() - this.#startedAt);
  }

  print(): void {
    for (const failure of this.failures.slice(0, shownFailures)) console.log(failure);
    printTable([
      ['files', 'MB', 'gzip MB', 'seconds', 'MB/s', 'failures'],
      [
        String(this.files),
        (this.bytes / 1e6).toFixed(1),
        (this.gzipBytes / 1e6).toFixed(1),
        ((performance.now() - this.#startedAt) / 1e3).toFixed(1),
        this.speed.toFixed(1),
        String(this.failures.length),
      ],
    ]);
    printTable([
      ['priority', 'tasks', 'wait p50 ms', 'wait p99 ms'],
      ...priorities
        .filter((priority) => this.#waits.has(priority))
        .map((priority) => {
          const waits = (this.#waits.get(priority) ?? []).sort((a, b) => a - b);
          return [priority, String(waits.length), percentile(waits, 0.5), percentile(waits, 0.99)];
        }),
    ]);
  }
}

/** The nearest rank. */
function percentile(sorted: readonly number[], fraction: number): string {
  return (sorted[Math.max(Math.ceil(sorted.length * fraction) - 1, 0)] ?? 0).toFixed(1);
}

function printTable(rows: readonly (readonly string[])[]): void {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  console.log();
  for (const row of rows) {
    console.log(row.map((cell, column) => cell.padStart(widths[column] ?? 0)).join('  '));
  }
}
