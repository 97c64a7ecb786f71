/** What goes wrong with a database, of both drivers: by its code, what a caller is told, and whether to try again helps. */
import type { Failure, SqliteProblem } from '../../protocol.ts';

/** The primary result codes of https://www.sqlite.org/rescode.html that are told apart here. */
const names: Readonly<Record<number, string>> = {
  3: 'SQLITE_PERM',
  5: 'SQLITE_BUSY',
  6: 'SQLITE_LOCKED',
  8: 'SQLITE_READONLY',
  10: 'SQLITE_IOERR',
  11: 'SQLITE_CORRUPT',
  13: 'SQLITE_FULL',
  14: 'SQLITE_CANTOPEN',
  15: 'SQLITE_PROTOCOL',
  26: 'SQLITE_NOTADB',
};

/** Those that do not pass by themselves. */
const unusable: Readonly<Record<string, string>> = {
  SQLITE_PERM: 'it may not be opened; check the rights to it and to its folder',
  SQLITE_READONLY: 'it can only be read; check the rights to it and to its folder, where SQLite makes files beside it',
  SQLITE_CORRUPT: 'it is damaged; restore it from a backup, or see https://www.sqlite.org/recovery.html',
  SQLITE_CANTOPEN: 'it can not be opened; check that its folder exists, and the rights to both',
  SQLITE_NOTADB: 'it is no database of SQLite; use another path',
};

const unreachable: Readonly<Record<string, string>> = {
  SQLITE_BUSY: 'the database is locked by another program, for longer than is waited',
  SQLITE_LOCKED: 'the database is locked by another program',
  SQLITE_FULL: 'the disk is full',
  SQLITE_IOERR: 'the disk does not do it',
};

/** Says that the file is none that can be used here. */
export class UnusableError extends Error {}

export function problemOf(error: unknown): SqliteProblem {
  const { message, code, errcode } = (error ?? {}) as {
    readonly message?: unknown;
    readonly code?: unknown;
    readonly errcode?: unknown;
  };
  const name = typeof errcode === 'number' ? names[errcode & 0xff] : primaryName(code);
  return { message: String(message), code: name };
}

/** better-sqlite3 gives names of extended codes, too: `SQLITE_IOERR_WRITE`. */
function primaryName(code: unknown): string | undefined {
  if (typeof code !== 'string') return undefined;
  return Object.values(names).find((name) => code === name || code.startsWith(`${name}_`));
}

/** What the calls of a transaction are told that has failed. */
export function failureOf(path: string, error: unknown): Failure {
  if (error instanceof TypeError) return { code: 'invalid', message: error.message }; // it can't be bound
  const cause = problemOf(error);
  const lasting = error instanceof UnusableError ? error.message : unusable[cause.code ?? ''];
  if (lasting !== undefined) return { code: 'unusable', message: `${path} can't be used: ${lasting}`, cause };
  return { code: 'unreachable', message: unreachable[cause.code ?? ''] ?? cause.message, cause };
}
