/** The service as a process of its own on a free port, for the load script and tests. What it logs can be awaited. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const main = fileURLToPath(new URL('../main.ts', import.meta.url));

/** A line of its log. */
export interface LogLine {
  readonly event: string;
  readonly [fact: string]: unknown;
}

export class ServiceProcess {
  readonly #child: ChildProcess;
  readonly #lines: LogLine[] = [];
  #wake = () => {};
  #hasEnded = false;
  /** Its exit code, or the signal that ended it. */
  readonly ended: Promise<number | NodeJS.Signals>;

  private constructor(env: NodeJS.ProcessEnv, stderr: 'inherit' | 'ignore') {
    this.#child = spawn(process.execPath, [...process.execArgv, main], {
      env: { ...process.env, PORT: '0', ...env },
      stdio: ['ignore', 'pipe', stderr],
    });
    createInterface({ input: this.#child.stdout as NonNullable<ChildProcess['stdout']> }).on('line', (line) => {
      this.#lines.push(JSON.parse(line) as LogLine);
      this.#wake();
    });
    this.ended = once(this.#child, 'close').then(([code, signal]) => {
      this.#hasEnded = true;
      this.#wake();
      return code ?? signal;
    });
  }

  /** Resolves when it listens. Rejects if it ends before. */
  static async start(env: NodeJS.ProcessEnv = {}, stderr: 'inherit' | 'ignore' = 'inherit'): Promise<ServiceProcess> {
    const service = new ServiceProcess(env, stderr);
    await service.line('listening');
    return service;
  }

  get url(): string {
    const listening = this.#lines.find(({ event }) => event === 'listening');
    return `http://127.0.0.1:${listening?.['port']}`;
  }

  /** The n-th line of that event, the first if nothing is said. Waits for it; rejects if the service ends without. */
  async line(event: string, n = 1): Promise<LogLine> {
    for (;;) {
      const line = this.#lines.filter((each) => each.event === event)[n - 1];
      if (line !== undefined) return line;
      if (this.#hasEnded) throw new Error(`the service has ended without "${event}"`);
      await new Promise<void>((resolve) => {
        const before = this.#wake;
        this.#wake = () => {
          before();
          resolve();
        };
      });
    }
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }
}
