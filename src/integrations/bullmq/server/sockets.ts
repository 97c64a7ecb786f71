/** The sockets of a server's connections, so that they can be ended though the server does not answer. */
import { Socket } from 'node:net';

export class Sockets {
  readonly #open = new Set<Socket>();
  #isOver = false;

  /** One that is to be connected; once all were destroyed, it is destroyed, too. */
  make(): Socket {
    const socket = new Socket();
    this.#open.add(socket);
    socket.once('close', () => this.#open.delete(socket));
    if (this.#isOver) socket.once('connect', () => socket.destroy());
    return socket;
  }

  /** Ends all, and those that come. */
  destroy(): void {
    this.#isOver = true;
    for (const socket of this.#open) socket.destroy();
  }
}
