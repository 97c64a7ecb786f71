/** A server that gets into trouble: who would use it comes through a proxy, as a user of his own; who makes trouble does not. */
import { startProxy, type TcpProxy } from '../servers/proxy.ts';
import type { Server } from '../servers/server.ts';

/** Makes the trouble, and gives what ends it. */
type Begin<S extends TroubledServer> = (server: S) => Promise<() => Promise<unknown>>;

export interface Trouble<S extends TroubledServer> {
  readonly begin: Begin<S>;
  /** Nothing works meanwhile, and all does afterwards, so it is one outage. */
  readonly isTotal?: boolean;
}

export type Troubles<S extends TroubledServer> = Readonly<Record<string, Trouble<S>>>;

export abstract class TroubledServer implements AsyncDisposable {
  readonly server: Server;
  readonly proxy: TcpProxy;

  constructor(server: Server, proxy: TcpProxy) {
    this.server = server;
    this.proxy = proxy;
  }

  /** Of who is to be troubled. */
  abstract get url(): string;

  async [Symbol.asyncDispose](): Promise<void> {
    await this.proxy.stop();
    await this.server.stop();
  }
}

export async function behindProxy(server: Server): Promise<[Server, TcpProxy]> {
  return [server, await startProxy(server.port)];
}

/** Again and again, until it is to end. */
export function storm(strike: () => Promise<unknown>): () => Promise<void> {
  let isOver = false;
  const raging = (async () => {
    while (!isOver) await strike();
  })();
  return async () => {
    isOver = true;
    await raging;
  };
}

/** What the network and the machine of any server can do. */
export const commonTroubles: Troubles<TroubledServer> = {
  'connections that fall silent for ever, where new ones work': {
    begin: async ({ proxy }) => {
      proxy.mute();
      return async () => {};
    },
  },
  'a network that falls silent, and goes on': {
    begin: async ({ proxy }) => {
      proxy.freeze();
      return async () => proxy.thaw();
    },
  },
  'a network that falls silent, and breaks': {
    begin: async ({ proxy }) => {
      proxy.freeze();
      return async () => {
        proxy.cut();
        proxy.thaw();
      };
    },
  },
  'a server that is held (SIGSTOP)': {
    begin: async ({ server }) => {
      await server.pause();
      return () => server.resume();
    },
  },
};
