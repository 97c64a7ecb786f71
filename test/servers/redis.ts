/** A real Redis for a test. Without `save` a restart finds it empty; with it, a restart loses nothing. */
import { connect } from 'node:net';
import { binary } from './binaries.ts';
import { Server } from './server.ts';

export type RedisServer = Server;

export interface RedisServerOptions {
  /** Default: a free one. */
  readonly port?: number;
  /** Each write is on disk before it is answered. Default: false. */
  readonly save?: boolean;
  /** Of its own command line, after all others. */
  readonly args?: readonly string[];
}

/** Resolves when it answers; rejects where it is not installed. */
export async function startRedis({ port, save = false, args = [] }: RedisServerOptions = {}): Promise<RedisServer> {
  const program = binary('redis-server');
  const saving = save ? ['--appendonly', 'yes', '--appendfsync', 'always'] : ['--appendonly', 'no'];
  const kind = {
    name: 'redis',
    url: (port: number) => `redis://127.0.0.1:${port}`,
    command: (folder: string, port: number): [string, ...string[]] => [
      program,
      ...[
        '--port',
        `${port}`,
        '--bind',
        '127.0.0.1',
        '--dir',
        folder,
        '--save',
        '',
        '--daemonize',
        'no',
        ...saving,
        ...args,
      ],
    ],
    isReady,
  };
  return Server.start(kind, port);
}

/** While it loads its data, it answers a PING with an error. */
async function isReady(port: number, folder: string): Promise<boolean> {
  const socket = connect(port, '127.0.0.1').setEncoding('utf8');
  try {
    socket.write('PING\r\nCONFIG GET dir\r\nQUIT\r\n');
    let answer = '';
    for await (const text of socket) answer += text;
    return answer.startsWith('+PONG') && answer.includes(folder);
  } finally {
    socket.destroy();
  }
}
