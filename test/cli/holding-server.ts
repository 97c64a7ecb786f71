/** A server whose fast answer comes at once, and whose slow one when the test says so: a barrier across processes. */
import { EventEmitter, once } from 'node:events';
import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export class HoldingServer implements AsyncDisposable {
  readonly #server: Server;
  readonly #changes = new EventEmitter();
  #waiting: ServerResponse[] = [];
  #answered = 0;
  #isReleased = false;

  private constructor() {
    this.#server = createServer((request, response) => {
      if (request.url === '/fast') {
        response.end('fast', () => this.#count());
      } else {
        this.#waiting.push(response);
        if (this.#isReleased) this.release();
      }
      this.#changes.emit('change');
    });
  }

  static async start(): Promise<HoldingServer> {
    const holding = new HoldingServer();
    await once(holding.#server.listen(0, '127.0.0.1'), 'listening');
    return holding;
  }

  #count(): void {
    this.#answered += 1;
    this.#changes.emit('change');
  }

  #url(path: string): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}${path}`;
  }

  get fast(): string {
    return this.#url('/fast');
  }

  get slow(): string {
    return this.#url('/slow');
  }

  /** Resolves when so many fast ones have been answered. */
  async answered(count: number): Promise<void> {
    while (this.#answered < count) await once(this.#changes, 'change');
  }

  /** Resolves when so many slow ones wait at once. */
  async held(count: number): Promise<void> {
    while (this.#waiting.length < count) await once(this.#changes, 'change');
  }

  /** Answers the slow ones, from now on. */
  release(): void {
    this.#isReleased = true;
    for (const response of this.#waiting.splice(0)) response.end('slow');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.close();
    this.#server.closeAllConnections();
  }
}
