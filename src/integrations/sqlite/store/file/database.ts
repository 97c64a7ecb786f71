/**
 * One connection to a database of tasks. All that is written is one transaction at a time, which is on the disk when it is
 * committed: WAL and `synchronous=FULL`. Statements are prepared once. It knows nothing of tasks.
 */
import { statfsSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { type Connection, connect, type DriverName, type Row, type Statement, type Value } from '../../driver.ts';
import { problemOf, UnusableError } from './problems.ts';
import { migrate } from './schema.ts';

/** Where the locks of SQLite, or its shared memory, do not hold: numbers of statfs(2). */
const remote: Readonly<Record<number, string>> = {
  26985: 'NFS',
  20859: 'SMB',
  4283649346: 'SMB',
  4266872130: 'SMB',
  12805120: 'Ceph',
  1397113167: 'AFS',
};

/** The pause before it is tried again to open a file that is being opened or closed, in milliseconds. */
const retryMs = 5;

export class Database {
  readonly #connection: Connection;
  readonly #statements = new Map<string, Statement>();

  /** @throws UnusableError, or an error of SQLite. */
  constructor(driver: DriverName, path: string, busyTimeoutMs: number) {
    refuseUnusable(path);
    this.#connection = connect(driver, path);
    try {
      this.exec(`PRAGMA busy_timeout = ${busyTimeoutMs}`);
      this.exec('PRAGMA synchronous = FULL');
      this.#useWal(busyTimeoutMs);
      this.exec('PRAGMA wal_autocheckpoint = 0'); // see Checkpoints
      migrate(this);
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** While another program opens or closes the file, SQLite refuses this at once, whatever the busy timeout is. */
  #useWal(busyTimeoutMs: number): void {
    const until = Date.now() + busyTimeoutMs;
    for (;;) {
      try {
        const { journal_mode: mode } = this.#connection.prepare('PRAGMA journal_mode = WAL').get() ?? {};
        if (mode === 'wal') return;
        throw new UnusableError(`its journal can't be WAL there, and is ${mode}`);
      } catch (error) {
        if (problemOf(error).code !== 'SQLITE_BUSY' || Date.now() >= until) throw error;
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, retryMs);
      }
    }
  }

  exec(sql: string): void {
    this.#connection.exec(sql);
  }

  #statement(sql: string): Statement {
    let statement = this.#statements.get(sql);
    if (statement === undefined) {
      statement = this.#connection.prepare(sql);
      this.#statements.set(sql, statement);
    }
    return statement;
  }

  /** Returns how many rows it has changed. */
  run(sql: string, ...values: readonly Value[]): number {
    return Number(this.#statement(sql).run(...values).changes);
  }

  get(sql: string, ...values: readonly Value[]): Row | undefined {
    return this.#statement(sql).get(...values);
  }

  all(sql: string, ...values: readonly Value[]): readonly Row[] {
    return this.#statement(sql).all(...values);
  }

  /** Waits for the lock of writers, as long as the busy timeout says. */
  begin(): void {
    this.exec('BEGIN IMMEDIATE');
  }

  /** For what is only read: no lock, one moment. */
  beginReading(): void {
    this.exec('BEGIN');
  }

  commit(): void {
    this.exec('COMMIT');
  }

  /** After some errors SQLite has done so by itself. */
  rollback(): void {
    try {
      this.exec('ROLLBACK');
    } catch {
      // there is no transaction any more
    }
  }

  /** Changes when another connection has committed. */
  get version(): number {
    return Number(this.get('PRAGMA data_version')?.['data_version']);
  }

  close(): void {
    this.#connection.close();
  }
}

function refuseUnusable(path: string): void {
  const folder = dirname(path);
  if (statSync(folder, { throwIfNoEntry: false })?.isDirectory() !== true) {
    throw new UnusableError(`its folder does not exist: make ${folder} first`);
  }
  if (statSync(path, { throwIfNoEntry: false })?.isDirectory()) throw new UnusableError('it is a folder');
  const name = process.platform === 'linux' ? remote[statfsSync(folder).type] : undefined;
  if (name === undefined) return;
  throw new UnusableError(
    `it is on a network file system (${name}), where the locks of SQLite do not hold; use a local disk, or a server (taskwarden/bullmq)`,
  );
}
