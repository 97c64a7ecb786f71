/** What may change while the service runs, from a file in JSON. What is wrong with it is refused as a whole. */
import { readFile } from 'node:fs/promises';

export interface Settings {
  /** How many uploads are worked on at a time. */
  readonly maxWorkers: number;
  /** How long a body may be. */
  readonly maxBytes: number;
  /** How long a result is kept after the end of its upload, in milliseconds. */
  readonly resultTtlMs: number;
  /** How long a stop may take, in milliseconds. */
  readonly stopWithinMs: number;
}

const names: readonly (keyof Settings)[] = ['maxWorkers', 'maxBytes', 'resultTtlMs', 'stopWithinMs'];

function check(given: unknown, path: string): Settings {
  if (typeof given !== 'object' || given === null) throw new TypeError(`${path} is not an object`);
  const unknown = Object.keys(given).find((key) => !(names as readonly string[]).includes(key));
  if (unknown !== undefined) throw new TypeError(`${path}: there is no "${unknown}", only ${names.join(', ')}`);
  for (const name of names) {
    const value: unknown = (given as Record<string, unknown>)[name];
    if (!Number.isSafeInteger(value) || (value as number) < 1) {
      throw new RangeError(`${path}: "${name}" is a whole number, 1 or more; got ${JSON.stringify(value)}`);
    }
  }
  return Object.freeze(given) as Settings;
}

export class SettingsFile {
  readonly path: string;
  #current: Settings;

  private constructor(path: string, settings: Settings) {
    this.path = path;
    this.#current = settings;
  }

  static async open(path: string): Promise<SettingsFile> {
    return new SettingsFile(path, await SettingsFile.#read(path));
  }

  static async #read(path: string): Promise<Settings> {
    return check(JSON.parse(await readFile(path, 'utf8')), path);
  }

  get current(): Settings {
    return this.#current;
  }

  /** What was current stays so if the file is wrong. */
  async reload(): Promise<Settings> {
    this.#current = await SettingsFile.#read(this.path);
    return this.#current;
  }
}
