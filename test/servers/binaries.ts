/** Where the programs of the real servers are: looked for afresh each time, for they may just have been installed. */
import { existsSync, readdirSync } from 'node:fs';
import { delimiter, isAbsolute, join } from 'node:path';

const postgresRoot = '/usr/lib/postgresql';

/** Gives the path of a program, or undefined where it is not installed. A path is looked for as it is. */
export type Lookup = (name: string) => string | undefined;

/** Debian keeps the programs of PostgreSQL out of the PATH, by version: the highest one is taken. */
export const findBinary: Lookup = (name) => {
  if (isAbsolute(name)) return existsSync(name) ? name : undefined;
  const path = (process.env['PATH'] ?? '').split(delimiter).filter((folder) => folder !== '');
  return [...postgresFolders(), ...path].map((folder) => join(folder, name)).find((file) => existsSync(file));
};

function postgresFolders(): string[] {
  if (!existsSync(postgresRoot)) return [];
  const versions = readdirSync(postgresRoot).sort((a, b) => Number(b) - Number(a));
  return versions.map((version) => join(postgresRoot, version, 'bin'));
}

/** Throws where the program is not installed. */
export function binary(name: string): string {
  const file = findBinary(name);
  if (file === undefined) throw new Error(`${name} is not installed`);
  return file;
}
