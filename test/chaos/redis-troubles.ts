/** All that a Redis may say, or do, instead of what it is asked. */
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { freePort } from '../servers/port.ts';
import type { TcpProxy } from '../servers/proxy.ts';
import { startRedis } from '../servers/redis.ts';
import type { Server } from '../servers/server.ts';
import { behindProxy, commonTroubles, storm, TroubledServer, type Troubles } from './troubled-server.ts';

const user = ['worker', 'on', 'resetpass', '>right', '~*', '&*', '+@all'] as const;

/** So long it takes over each key that it loads, in microseconds. */
const loadDelay = 300;

export class TroubledRedis extends TroubledServer {
  /** Not by the proxy, and as another user. */
  readonly admin: Redis;

  private constructor(server: Server, proxy: TcpProxy) {
    super(server, proxy);
    this.admin = new Redis(server.url, { retryStrategy: () => 50, maxRetriesPerRequest: null });
    this.admin.on('error', () => {}); // a server that is away comes back
  }

  static async start(): Promise<TroubledRedis> {
    const args = ['--user', ...user, '--key-load-delay', `${loadDelay}`];
    return new TroubledRedis(...(await behindProxy(await startRedis({ save: true, args }))));
  }

  override get url(): string {
    return `redis://worker:right@127.0.0.1:${this.proxy.port}`;
  }

  /** What it loads at its next start are keys, and not all that was ever done. */
  async rewrite(): Promise<void> {
    await this.admin.bgrewriteaof();
    await until(async () => /aof_rewrite_in_progress:0/.test(await this.admin.info('persistence')));
  }

  letIn(): Promise<unknown> {
    return this.admin.acl('SETUSER', ...user);
  }

  killAll(): Promise<unknown> {
    return this.admin.client('KILL', 'USER', 'worker');
  }

  override async [Symbol.asyncDispose](): Promise<void> {
    this.admin.disconnect();
    await super[Symbol.asyncDispose]();
  }
}

/** Not total: who asks for tasks where there are none is answered. */
function setting(name: string, value: string, before: string): Troubles<TroubledRedis>[string] {
  return {
    begin: async ({ admin }) => {
      await admin.config('SET', name, value);
      return () => admin.config('SET', name, before);
    },
  };
}

export const redisTroubles: Troubles<TroubledRedis> = {
  'no memory left (OOM)': setting('maxmemory', '1', '0'),
  'a snapshot that can not be written (MISCONF)': {
    isTotal: true,
    begin: async ({ admin, server }) => {
      const file = join(server.folder, 'dump.rdb');
      await mkdir(join(file, 'in-the-way'), { recursive: true });
      await admin.config('SET', 'save', '3600 1');
      await admin.bgsave();
      await until(async () => /rdb_last_bgsave_status:err/.test(await admin.info('persistence')));
      return async () => {
        await rm(file, { recursive: true });
        await admin.bgsave();
        await until(async () => /rdb_last_bgsave_status:ok/.test(await admin.info('persistence')));
        await admin.config('SET', 'save', '');
        await rm(file);
      };
    },
  },
  'too few replicas (NOREPLICAS)': setting('min-replicas-to-write', '1', '0'),
  'rights that were taken away (NOPERM)': {
    isTotal: true,
    begin: async (server) => {
      await server.admin.acl('SETUSER', 'worker', '-@all');
      return () => server.letIn();
    },
  },
  'rights that were taken away, and connections killed': {
    begin: async (server) => {
      await server.admin.acl('SETUSER', 'worker', '-@all', '+ping');
      await server.killAll();
      return () => server.letIn();
    },
  },
  'a password that was changed': {
    isTotal: true,
    begin: async (server) => {
      await server.admin.acl('SETUSER', 'worker', 'resetpass', '>other');
      await server.killAll();
      return () => server.letIn();
    },
  },
  'a server that is down': {
    begin: async (troubled) => {
      await troubled.rewrite();
      await troubled.server.kill();
      return () => troubled.server.restart();
    },
  },
  'a restart that takes its time (LOADING)': {
    begin: async (troubled) => {
      await troubled.rewrite();
      const restarted = troubled.server.restart();
      return () => restarted;
    },
  },
  'a server that has become a replica (READONLY)': {
    begin: async ({ admin }) => {
      await admin.replicaof('127.0.0.1', await freePort());
      return () => admin.replicaof('NO', 'ONE');
    },
  },
  'a script that runs and runs (BUSY)': {
    begin: async ({ admin, server }) => {
      await admin.config('SET', 'busy-reply-threshold', '100');
      const other = new Redis(server.url);
      const running = other.eval('while true do end', 0).catch(() => {}); // until it is killed
      return async () => {
        await until(async () => (await admin.script('KILL').catch(() => 'not yet')) === 'OK');
        await running;
        other.disconnect();
      };
    },
  },
  'too many clients': {
    begin: async (server) => {
      await server.admin.config('SET', 'maxclients', '1');
      await server.killAll();
      return () => server.admin.config('SET', 'maxclients', '10000');
    },
  },
  'clients that are paused': {
    begin: async ({ admin }) => {
      await admin.client('PAUSE', 3_000);
      return () => admin.ping();
    },
  },
  'connections that are killed again and again': {
    begin: async (server) => {
      return storm(async () => {
        await server.killAll();
        await pause(50);
      });
    },
  },
  ...commonTroubles,
};

async function until(isSo: () => Promise<boolean>): Promise<void> {
  while (!(await isSo())) await pause(10);
}
