/** The command line, in the folder of the fixtures: as a user starts it, in a process of its own, or in that of the test. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { PassThrough, type Stream, Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { onTestFinished } from 'vitest';
import { runCommandLine } from '../../dist/src/cli/command-line.js';

const main = fileURLToPath(new URL('../../dist/src/cli/main.js', import.meta.url));
export const fixtures: string = fileURLToPath(new URL('../fixtures/cli', import.meta.url));

/** For what does not depend on where functions run: a thread would take as much processor time as all else of a short run. */
export const mapOnLoop: readonly string[] = ['map', '--type', 'loop'];

export interface CommandEnd {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
  /** Standard output, each line parsed. */
  readonly results: readonly ResultLine[];
}

interface ProcessEnd extends CommandEnd {
  readonly signal: NodeJS.Signals | null;
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

  async end(): Promise<ProcessEnd> {
    await this.#closed;
    const { exitCode: code, signalCode: signal } = this.process;
    const { stdout, stderr } = this.#said;
    return { code, signal, stdout, stderr, results: resultsIn(stdout) };
  }
}

function resultsIn(stdout: string): ResultLine[] {
  return stdout.startsWith('{') ? parseLines(stdout) : [];
}

export function parseLines(text: string): ResultLine[] {
  const lines = text.split('\n');
  if (lines.pop() !== '') throw new Error('the last line does not end');
  return lines.map((line) => JSON.parse(line) as ResultLine);
}

/** Runs the command to its end, with this as its standard input. */
export async function taskwarden(args: readonly string[], input = ''): Promise<ProcessEnd> {
  const command = new Command(args);
  command.process.stdin?.on('error', () => {}).end(input); // it may end before it has read all
  return command.end();
}

/** What was written to it. */
class Written extends Writable {
  text = '';

  override _write(chunk: Buffer, _: unknown, callback: () => void): void {
    this.text += chunk;
    callback();
  }
}

/**
 * The same as `taskwarden()` without the start of a process, for what is not about processes, signals, pipes and what
 * functions print. This process is in the folder of the fixtures meanwhile, and its streams are those of the command.
 */
export async function taskwardenHere(args: readonly string[], input = ''): Promise<CommandEnd> {
  const [stdin, stdout, stderr] = [new PassThrough().end(input), new Written(), new Written()];
  const folder = process.cwd();
  const giveBack = replaceStreams({ stdin, stdout, stderr });
  process.chdir(fixtures);
  try {
    const code = await runCommandLine(args, process);
    return { code, stdout: stdout.text, stderr: stderr.text, results: resultsIn(stdout.text) };
  } finally {
    process.chdir(folder);
    giveBack();
  }
}

/** Those of this process. Returns what puts its own back. */
function replaceStreams(streams: Readonly<Record<'stdin' | 'stdout' | 'stderr', Stream>>): () => void {
  const names = Object.keys(streams) as (keyof typeof streams)[];
  const own = names.map((name) => [name, Object.getOwnPropertyDescriptor(process, name)] as const);
  for (const name of names) Object.defineProperty(process, name, { value: streams[name] });
  return () => {
    for (const [name, descriptor] of own) Object.defineProperty(process, name, descriptor as PropertyDescriptor);
  };
}

/** The results, in the order of their inputs. */
export function byIndex({ results }: CommandEnd): ResultLine[] {
  return [...results].sort((a, b) => a.index - b.index);
}
