/** A program of test/fixtures/programs in a process of its own. */
import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

export interface ProgramEnd {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly lines: readonly string[];
  readonly stderr: string;
}

export interface ProgramOptions {
  readonly nodeArgs?: string[];
  readonly args?: string[];
  /** The leader of a process group of its own, as what a shell starts. */
  readonly isGroup?: boolean;
}

export class Program {
  readonly ended: Promise<ProgramEnd>;
  readonly #child: ChildProcess;
  #stdout = '';
  #stderr = '';
  #wake = () => {};

  constructor(name: string, { nodeArgs = [], args = [], isGroup = false }: ProgramOptions = {}) {
    const file = fileURLToPath(new URL(`../fixtures/programs/${name}`, import.meta.url));
    this.#child = spawn(process.execPath, [...nodeArgs, file, ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: isGroup,
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

  /** Gives the line when the program has printed it, or one that matches; rejects if it ends without. */
  async printed(line: string | RegExp): Promise<string> {
    for (;;) {
      const found = this.#lines.find((each) => (typeof line === 'string' ? each === line : line.test(each)));
      if (found !== undefined) return found;
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

  /** As Ctrl-C in a terminal does. */
  killGroup(signal: NodeJS.Signals): void {
    process.kill(-(this.#child.pid as number), signal);
  }
}

export function runProgram(name: string, options?: ProgramOptions): Promise<ProgramEnd> {
  return new Program(name, options).ended;
}
