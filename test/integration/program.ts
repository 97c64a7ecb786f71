/** A program of test/fixtures/programs in a process of its own. */
import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

export interface ProgramEnd {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly lines: readonly string[];
  readonly stderr: string;
}

export class Program {
  readonly ended: Promise<ProgramEnd>;
  readonly #child: ChildProcess;
  #stdout = '';
  #stderr = '';
  #wake = () => {};

  constructor(name: string, { nodeArgs = [], args = [] }: { nodeArgs?: string[]; args?: string[] } = {}) {
    const file = fileURLToPath(new URL(`../fixtures/programs/${name}`, import.meta.url));
    this.#child = spawn(process.execPath, [...nodeArgs, file, ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: 120_000, // a program that hangs fails its test, and is not left behind
      killSignal: 'SIGKILL',
    });
    this.#child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.#stdout += text;
      this.#wake();
    });
    this.#child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr += text;
    });
    this.ended = new Promise((resolve, reject) => {
      this.#child.once('error', reject);
      this.#child.once('close', (code, signal) => {
        resolve({ code, signal, lines: this.#lines, stderr: this.#stderr });
        this.#wake();
      });
    });
  }

  get #lines(): string[] {
    return this.#stdout.split('\n').filter((line) => line !== '');
  }

  /** Resolves when the program has printed the line; rejects if it ends without. */
  async printed(line: string): Promise<void> {
    while (!this.#lines.includes(line)) {
      if (this.#child.exitCode !== null || this.#child.signalCode !== null) {
        throw new Error(`ended without "${line}":\n${this.#stdout}${this.#stderr}`);
      }
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }
}

export function runProgram(name: string, options?: { nodeArgs?: string[]; args?: string[] }): Promise<ProgramEnd> {
  return new Program(name, options).ended;
}
