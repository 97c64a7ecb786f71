/** A real PostgreSQL for a test: its data outlives a restart. As root it runs as the user `postgres`, for it refuses root. */
import { execFile, spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { mkdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { Client } from 'pg';
import { binary } from './binaries.ts';
import { Server } from './server.ts';

const run = promisify(execFile);

/** The data of a new server, by version: to copy them takes a fifth of what it takes to make them. */
const templates = fileURLToPath(new URL('../../dist/test/servers', import.meta.url));

export type PostgresServer = Server;

const settings = [
  'listen_addresses=127.0.0.1',
  'max_connections=200',
  'fsync=off',
  'full_page_writes=off',
  'dynamic_shared_memory_type=mmap', // in the folder, and gone with it
];

/** Resolves when it answers; rejects where it is not installed. */
export async function startPostgres(): Promise<PostgresServer> {
  const [initdb, postgres] = [binary('initdb'), binary('postgres')];
  const user = process.getuid?.() === 0 ? userOf('postgres') : undefined;
  const url = (port: number) => `postgres://postgres@127.0.0.1:${port}/postgres`;
  return Server.start({
    name: 'postgres',
    user,
    stopSignal: 'SIGINT',
    url,
    async prepare(folder) {
      const { stdout: version } = await run(initdb, ['--version'], { cwd: folder });
      const template = join(templates, version.trim().replaceAll(/[^\w.]+/g, '-'));
      if (existsSync(template)) {
        await run('cp', ['-a', template, data(folder)]);
        return;
      }
      const args = ['--no-sync', '-A', 'trust', '-U', 'postgres', '-E', 'UTF8', '--locale', 'C', '-D', data(folder)];
      await run(initdb, [...args, '--wal-segsize=1'], { cwd: folder, ...user });
      dropTemplates(postgres, folder, user);
      const copy = `${template}-${process.pid}`;
      await mkdir(templates, { recursive: true });
      await run('cp', ['-a', data(folder), copy]);
      await rename(copy, template).catch(() => rm(copy, { recursive: true })); // another has made it meanwhile
    },
    command: (folder, port) => [
      postgres,
      ...['-D', data(folder), '-p', `${port}`, '-k', folder],
      ...settings.flatMap((setting) => ['-c', setting]),
    ],
    async isReady(port, folder) {
      const client = new Client({ connectionString: url(port) });
      client.on('error', () => {}); // it answers no more: so it is not ready
      try {
        await client.connect();
        const { rows } = await client.query('show data_directory');
        return rows[0].data_directory === data(folder);
      } finally {
        await client.end();
      }
    },
  });
}

/** The databases that new ones are made of are two thirds of the files, and no test makes one. */
function dropTemplates(postgres: string, folder: string, user: object | undefined): void {
  const input = `update pg_database set datistemplate = false;
    drop database template0;
    drop database template1;`.replaceAll(/\n\s+/g, '\n');
  const args = ['--single', '-D', data(folder), '-c', 'fsync=off', 'postgres'];
  const { status, stderr } = spawnSync(postgres, args, { input, cwd: folder, encoding: 'utf8', ...user });
  if (status !== 0) throw new Error(`postgres did not drop its templates: ${stderr}`);
}

function data(folder: string): string {
  return join(folder, 'data');
}

function userOf(name: string): { uid: number; gid: number } {
  const line = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .find((each) => each.startsWith(`${name}:`));
  if (line === undefined) throw new Error(`there is no user ${name} that the server could run as`);
  const [, , uid, gid] = line.split(':');
  return { uid: Number(uid), gid: Number(gid) };
}
