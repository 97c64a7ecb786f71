/** The two ways to SQLite: `node:sqlite` of Node itself, or the package better-sqlite3. Both are used in the same few ways. */
import { createRequire, isBuiltin } from 'node:module';

export type Value = string | number | null | Uint8Array;
export type Row = Readonly<Record<string, Value>>;

export interface Statement {
  run(...values: readonly Value[]): { readonly changes: number | bigint };
  get(...values: readonly Value[]): Row | undefined;
  all(...values: readonly Value[]): readonly Row[];
}

export interface Connection {
  exec(sql: string): void;
  prepare(sql: string): Statement;
  close(): void;
}

export type DriverName = 'node:sqlite' | 'better-sqlite3';

const require = createRequire(import.meta.url);

/** Version 13 crashes on Node 20; a Node for which it is made has SQLite of its own. */
const betterSqlite = { major: 12, name: 'better-sqlite3' } as const;

/** Which one there is, or what is wrong. Loads none. */
export function findDriver(): { readonly driver: DriverName } | { readonly problem: string } {
  if (isBuiltin('node:sqlite')) return { driver: 'node:sqlite' };
  const problem = packageProblem(process.versions.node, installedVersion());
  return problem === undefined ? { driver: betterSqlite.name } : { problem };
}

function installedVersion(): string | undefined {
  try {
    return (require(`${betterSqlite.name}/package.json`) as { readonly version: string }).version;
  } catch {
    return undefined;
  }
}

/** What is wrong with a version of better-sqlite3, for a Node without SQLite; undefined if nothing is. */
export function packageProblem(node: string, version: string | undefined): string | undefined {
  const { name, major } = betterSqlite;
  const wanted = `npm install ${name}@^${major}, or use Node 22.13 or later, which has SQLite of its own`;
  if (version === undefined) return `the package ${name}, as Node ${node} has no SQLite: ${wanted}`;
  if (Number.parseInt(version, 10) === major) return undefined;
  return `${name} ${major}, and found ${version}: ${wanted}`;
}

/** Opens a file; makes it if it is missing. */
export function connect(driver: DriverName, path: string): Connection {
  if (driver === 'better-sqlite3') {
    const Database = require(betterSqlite.name) as new (path: string) => Connection;
    return new Database(path);
  }
  const { DatabaseSync } = withoutWarnings(() => require('node:sqlite')) as {
    readonly DatabaseSync: new (path: string) => Connection;
  };
  return new DatabaseSync(path);
}

/** Node 22 and 24 warn that its SQLite may change. What is used of it here has not, and the tests run on each version. */
function withoutWarnings<R>(load: () => R): R {
  const { emitWarning } = process;
  process.emitWarning = () => {};
  try {
    return load();
  } finally {
    process.emitWarning = emitWarning;
  }
}
