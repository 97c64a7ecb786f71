/**
 * Brings what is in the journal (WAL) into the database file. SQLite before 3.51.3, and 3.52.0, can lose what was written when
 * a second checkpoint runs while others write, https://www.sqlite.org/wal.html#walresetbug: so of all programs one at a time
 * does it, under the lock of a file beside the database, which SQLite releases when a program dies; and no one writes
 * meanwhile, because a TRUNCATE checkpoint has the lock of writers.
 */
import { statSync } from 'node:fs';
import { type Connection, connect, type DriverName } from '../../driver.ts';

/** How long the journal is when it is brought in, in bytes. */
const longBytes = 4 * 1024 * 1024;
/** How long a checkpoint waits for those that read or write, in milliseconds. */
const patienceMs = 2_000;
/** When it is tried again after it could not be done, in milliseconds: somebody may read for long, as a backup does. */
const againMs = 30_000;
/** How many commits there are between two looks at the length. */
const lookEvery = 50;

export class Checkpoints {
  readonly #driver: DriverName;
  readonly #path: string;
  #lock: Connection | undefined;
  #own: Connection | undefined;
  #commits = 0;
  #notBefore = 0;

  constructor(driver: DriverName, path: string) {
    this.#driver = driver;
    this.#path = path;
  }

  onCommit(): void {
    this.#commits += 1;
    if (this.#commits < lookEvery) return;
    this.#commits = 0;
    if (Date.now() < this.#notBefore) return;
    if ((statSync(`${this.#path}-wal`, { throwIfNoEntry: false })?.size ?? 0) < longBytes) return;
    try {
      this.#underLock();
    } catch {
      this.#notBefore = Date.now() + againMs; // another program does it, or somebody is in the way
    }
  }

  #underLock(): void {
    this.#lock ??= this.#connect(`${this.#path}-checkpoint`, 0);
    this.#lock.exec('BEGIN EXCLUSIVE');
    try {
      this.#checkpoint();
    } finally {
      this.#lock.exec('ROLLBACK');
    }
  }

  #checkpoint(): void {
    this.#own ??= this.#connect(this.#path, 0);
    // Where the lock of writers can't be had in time, TRUNCATE would be PASSIVE, which lets others write: then it is left.
    this.#own.exec('PRAGMA busy_timeout = 1000; BEGIN IMMEDIATE; ROLLBACK');
    this.#own.exec(`PRAGMA busy_timeout = ${patienceMs}`);
    const [result] = this.#own.prepare('PRAGMA wal_checkpoint(TRUNCATE)').all();
    if (result?.['busy'] !== 0) throw new Error('somebody reads');
  }

  #connect(path: string, busyTimeoutMs: number): Connection {
    const connection = connect(this.#driver, path);
    connection.exec(`PRAGMA busy_timeout = ${busyTimeoutMs}; PRAGMA wal_autocheckpoint = 0; PRAGMA synchronous = FULL`);
    return connection;
  }

  close(): void {
    this.#lock?.close();
    this.#own?.close();
  }
}
