/** A TCP proxy before a server, for what a network does: it falls silent without a word, or breaks. */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket, type Server as TcpServer } from 'node:net';

interface Pair {
  readonly client: Socket;
  /** Absent as long as the proxy was frozen when the client came. */
  server?: Socket;
  isMute?: boolean;
}

export class TcpProxy implements AsyncDisposable {
  readonly #target: number;
  readonly #listener: TcpServer;
  readonly #pairs = new Set<Pair>();
  #isFrozen = false;

  private constructor(target: number) {
    this.#target = target;
    this.#listener = createServer({ pauseOnConnect: true }, (client) => this.#accept(client));
  }

  static async start(target: number): Promise<TcpProxy> {
    const proxy = new TcpProxy(target);
    await once(proxy.#listener.listen(0, '127.0.0.1'), 'listening');
    return proxy;
  }

  get port(): number {
    return (this.#listener.address() as AddressInfo).port;
  }

  #accept(client: Socket): void {
    const pair: Pair = { client };
    this.#pairs.add(pair);
    this.#watch(pair, client);
    if (!this.#isFrozen) this.#join(pair);
  }

  #join(pair: Pair): void {
    if (pair.server === undefined) {
      pair.server = connect(this.#target, '127.0.0.1');
      this.#watch(pair, pair.server);
    }
    pair.client.pipe(pair.server);
    pair.server.pipe(pair.client);
  }

  /** A break is passed on, but not while the proxy is frozen. */
  #watch(pair: Pair, socket: Socket): void {
    socket.on('error', () => {});
    socket.on('close', () => {
      if (!this.#isFrozen) this.#drop(pair);
    });
  }

  #drop(pair: Pair): void {
    this.#pairs.delete(pair);
    pair.client.destroy();
    pair.server?.destroy();
  }

  /** Nothing passes any more, in either direction; connections stay, and new ones are accepted and hang. */
  freeze(): void {
    this.#isFrozen = true;
    for (const { client, server } of this.#pairs) {
      client.unpipe();
      server?.unpipe();
    }
  }

  /** The connections that there are fall silent for ever, as where a router forgets them; new ones are taken as before. */
  mute(): void {
    for (const pair of this.#pairs) {
      pair.isMute = true;
      pair.client.unpipe();
      pair.server?.unpipe();
    }
  }

  /** What was held up is passed on. */
  thaw(): void {
    this.#isFrozen = false;
    for (const pair of this.#pairs) {
      if (pair.isMute) continue;
      if (pair.client.destroyed || pair.server?.destroyed) this.#drop(pair);
      else this.#join(pair);
    }
  }

  /** Breaks all connections; new ones are taken as before. */
  cut(): void {
    for (const pair of this.#pairs) this.#drop(pair);
  }

  async stop(): Promise<void> {
    const closed = new Promise((resolve) => this.#listener.close(resolve));
    this.cut();
    await closed;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }
}

/** Listens on a free port of 127.0.0.1, and passes what comes to the other one. */
export function startProxy(targetPort: number): Promise<TcpProxy> {
  return TcpProxy.start(targetPort);
}
