/**
 * The tables of a database of tasks, and how they are made. `user_version` is their version; to change them, add a step to
 * `steps` and never change an old one: what a program of today has made must be read by those to come.
 */
import type { Row } from '../../driver.ts';
import { UnusableError } from './problems.ts';

interface Migrated {
  exec(sql: string): void;
  get(sql: string): Row | undefined;
  begin(): void;
  commit(): void;
  rollback(): void;
}

/** In the header of the file, by which it is known: "TWsq". */
const applicationId = 0x54577371;

/**
 * Of each task: `rank` is its place among those of its state, the first first: of what waits by priority and `place`, of what
 * is delayed by `due`, of all others by when they came into that state. `due` is when time changes it: when its delay ends,
 * its lease runs out, or its result is forgotten. `deadline` is that of a task that has not ended, and `failure` what its last
 * attempt has failed with. A task that is `held` waits, and a limit of its key holds it back.
 */
const steps: readonly string[] = [
  `
  CREATE TABLE tasks (
    number INTEGER PRIMARY KEY,
    queue TEXT NOT NULL,
    id TEXT NOT NULL,
    name TEXT,
    key TEXT,
    state TEXT NOT NULL,
    priority INTEGER NOT NULL,
    rank REAL NOT NULL,
    place INTEGER NOT NULL,
    due REAL,
    data TEXT,
    outcome TEXT,
    delay_ms REAL,
    deadline_ms REAL,
    deadline REAL,
    failure TEXT,
    retries REAL,
    retry_delay TEXT,
    is_unique INTEGER NOT NULL,
    unique_for_ms REAL NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    failures INTEGER NOT NULL DEFAULT 0,
    stalls INTEGER NOT NULL DEFAULT 0,
    counts INTEGER NOT NULL DEFAULT 0,
    has_work INTEGER NOT NULL DEFAULT 0,
    lease TEXT,
    max_stalls REAL,
    time_queued REAL NOT NULL,
    time_started REAL,
    time_ended REAL
  ) STRICT;
  CREATE UNIQUE INDEX tasks_by_id ON tasks (queue, id);
  CREATE INDEX tasks_by_rank ON tasks (queue, state, rank);
  CREATE INDEX tasks_by_due ON tasks (due) WHERE due IS NOT NULL;
  CREATE INDEX tasks_by_deadline ON tasks (deadline) WHERE deadline IS NOT NULL;
  CREATE UNIQUE INDEX tasks_unique ON tasks (queue, key) WHERE is_unique = 1;
  CREATE INDEX tasks_held ON tasks (queue, key, rank) WHERE state = 'held';
  CREATE INDEX tasks_counted ON tasks (queue, key) WHERE state = 'leased' AND counts = 1;
  CREATE TABLE queues (
    queue TEXT PRIMARY KEY,
    is_paused INTEGER NOT NULL DEFAULT 0,
    limits TEXT,
    arrival REAL NOT NULL DEFAULT 0
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE keys (
    queue TEXT NOT NULL,
    key TEXT NOT NULL,
    arrival REAL NOT NULL,
    opens REAL,
    PRIMARY KEY (queue, key)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX keys_by_opening ON keys (opens) WHERE opens IS NOT NULL;
  CREATE TABLE commands (number INTEGER PRIMARY KEY AUTOINCREMENT, task INTEGER NOT NULL, command TEXT NOT NULL) STRICT;
  CREATE INDEX commands_by_task ON commands (task);
  CREATE TABLE work (
    task INTEGER NOT NULL,
    name TEXT NOT NULL,
    work BLOB NOT NULL,
    PRIMARY KEY (task, name)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE events (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    queue TEXT NOT NULL,
    task TEXT NOT NULL,
    kind TEXT NOT NULL,
    event TEXT NOT NULL,
    time REAL NOT NULL
  ) STRICT;
  CREATE TABLE listeners (
    listener TEXT NOT NULL,
    queue TEXT NOT NULL,
    wants TEXT NOT NULL,
    until REAL NOT NULL,
    PRIMARY KEY (queue, wants, listener)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;
  INSERT INTO counters VALUES ('sequence', 0), ('forgotten events', 0);
  `,
];

/** Makes the tables, or brings those of an older version up to date. Others may do so at the same moment. */
export function migrate(database: Migrated): void {
  if (version(database) === steps.length) return;
  database.begin();
  try {
    const from = version(database);
    for (const step of steps.slice(from)) database.exec(step);
    database.exec(`PRAGMA application_id = ${applicationId}`);
    database.exec(`PRAGMA user_version = ${steps.length}`);
    database.commit();
  } catch (error) {
    database.rollback();
    throw error;
  }
}

/** @throws UnusableError if the file is of another program, or of a later version. */
function version(database: Migrated): number {
  const found = Number(database.get('PRAGMA user_version')?.['user_version']);
  const owner = Number(database.get('PRAGMA application_id')?.['application_id']);
  const isEmpty = database.get('SELECT 1 AS found FROM sqlite_schema LIMIT 1') === undefined;
  if (isEmpty && found === 0 && (owner === 0 || owner === applicationId)) return 0;
  if (owner !== applicationId) throw new UnusableError('it belongs to another program; use another path');
  if (found > steps.length) {
    throw new UnusableError(
      `a later version of taskwarden has made it (its tables are of version ${found}, and this one knows ${steps.length}); update taskwarden in each program that uses it`,
    );
  }
  return found;
}
