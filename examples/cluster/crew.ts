/** The worker processes. What one of them says goes to the terminal. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

const program = fileURLToPath(new URL('./worker.ts', import.meta.url));

/** Those that have not ended by then are killed, in milliseconds. */
const patienceMs = 10_000;

export class CrewMember {
  readonly name: string;
  readonly #child: ChildProcess;
  /** Its exit code, or the signal that ended it. */
  readonly ended: Promise<number | NodeJS.Signals>;
  /** In milliseconds of `performance.now()`. */
  timeEnded: number | undefined;

  constructor(name: string, url: string, prefix: string) {
    this.name = name;
    this.#child = fork(program, [name, url, prefix]);
    this.ended = once(this.#child, 'exit').then(([code, signal]) => {
      this.timeEnded = performance.now();
      return code ?? signal;
    });
  }

  /** Resolves when it takes tasks. */
  async ready(): Promise<void> {
    const code = await Promise.race([once(this.#child, 'message').then(() => undefined), this.ended]);
    if (code !== undefined) throw new Error(`${this.name} has ended with ${code}`);
  }

  /** As a machine that loses its power. */
  kill(): void {
    this.#child.kill('SIGKILL');
  }

  /** Lets it finish what it has in flight. */
  async stop(): Promise<number | NodeJS.Signals> {
    this.#child.kill('SIGTERM');
    const timer = setTimeout(() => this.kill(), patienceMs);
    const code = await this.ended;
    clearTimeout(timer);
    return code;
  }
}
