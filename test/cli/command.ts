/** The command line as a user starts it: a process of its own, in the folder of the fixtures. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { onTestFinished } from 'vitest';

const main = fileURLToPath(new URL('../../dist/src/cli/main.js', import.meta.url));
export const fixtures: string = fileURLToPath(new URL('../fixtures/cli', import.meta.url));

export interface CommandEnd {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
  /** Standard output, each line parsed. */
  readonly results: readonly ResultLine[];
}

export interface ResultLine {
  readonly index: number;
  readonly input: unknown;
  readonly result?: unknown;
  readonly error?: { readonly name: string; readonly message: string; readonly code?: string };
}

export class Command {
  readonly process: ChildProcess;
  readonly #closed: Promise<unknown>;
  readonly #said = { stdout: '', stderr: '' };

  constructor(args: readonly string[], env: NodeJS.ProcessEnv = {}) {
    this.process = spawn(process.execPath, [main, ...args], { cwd: fixtures, env: { ...process.env, ...env } });
    this.#closed = once(this.process, 'close');
    onTestFinished(() => void this.process.kill('SIGKILL')); // if the test came to its end before the process did
    for (const name of ['stdout', 'stderr'] as const) {
      this.process[name]?.setEncoding('utf8').on('data', (text: string) => {
        this.#said[name] += text;
      });
    }
  }

  /** Resolves when the process has said it. */
  says(name: 'stdout' | 'stderr', text: string): Promise<void> {
    return new Promise((resolve, reject) => {
      const check = () => {
        if (this.#said[name].includes(text)) resolve();
      };
      this.process[name]?.on('data', check).once('end', () => {
        reject(new Error(`it never said "${text}", but ${JSON.stringify(this.#said)}`));
      });
      check();
    });
  }

  async end(): Promise<CommandEnd> {
    await this.#closed;
    const { exitCode: code, signalCode: signal } = this.process;
    const { stdout, stderr } = this.#said;
    return { code, signal, stdout, stderr, results: stdout.startsWith('{') ? parseLines(stdout) : [] };
  }
}

export function parseLines(text: string): ResultLine[] {
  const lines = text.split('\n');
  if (lines.pop() !== '') throw new Error('the last line does not end');
  return lines.map((line) => JSON.parse(line) as ResultLine);
}

/** Runs the command to its end, with this as its standard input. */
export async function taskwarden(args: readonly string[], input = ''): Promise<CommandEnd> {
  const command = new Command(args);
  command.process.stdin?.on('error', () => {}).end(input); // it may end before it has read all
  return command.end();
}

/** The results, in the order of their inputs. */
export function byIndex({ results }: CommandEnd): ResultLine[] {
  return [...results].sort((a, b) => a.index - b.index);
}
