/** The service example as a process: what it answers, what a reload changes, and how it ends; and the load script. */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { chaos } from '../examples/service/chaos.ts';
import { type Answer, Client } from '../examples/service/load/client.ts';
import { ServiceProcess } from '../examples/service/load/service-process.ts';
import type { Settings } from '../examples/service/settings.ts';
import { compiledExample } from './compiled-tasks.ts';

describe('the service example', () => {
  let directory: string;
  let settingsPath: string;
  let holdPath: string;
  let service: ServiceProcess;
  let client: Client;

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'service-'));
    settingsPath = join(directory, 'settings.json');
    holdPath = join(directory, 'hold');
    await writeFile(holdPath, '');
  });

  afterEach(async () => {
    service.signal('SIGKILL');
    await service.ended;
    client.close();
    await rm(directory, { recursive: true });
  });

  async function set(settings: Partial<Settings> = {}): Promise<void> {
    const all = { maxWorkers: 2, maxBytes: 10_000_000, resultTtlMs: 60_000, stopWithinMs: 20_000, ...settings };
    await writeFile(settingsPath, JSON.stringify(all));
  }

  async function start(settings?: Partial<Settings>, stderr?: 'ignore'): Promise<void> {
    await set(settings);
    service = await ServiceProcess.start({ SERVICE_SETTINGS: settingsPath, SERVICE_CHAOS: '1' }, stderr);
    client = new Client(service.url, 16);
  }

  const post = (text: string) => client.post('/uploads', Buffer.from(text));

  /** Posts a body that is accepted, and gives where its status is. */
  async function accepted(text: string): Promise<string> {
    const { status, headers, body } = await post(text);
    expect([status, headers['location']]).toEqual([202, `/uploads/${body.id}`]);
    return headers['location'] as string;
  }

  /** Asks again and again until it is so. */
  async function when(path: string, isSo: (answer: Answer) => boolean): Promise<Answer> {
    for (;;) {
      const answer = await client.get(path);
      if (isSo(answer)) return answer;
      await pause(25); // the processor is for the service
    }
  }

  const ended = async (path: string) => (await when(path, ({ body }) => body.timeFinished !== undefined)).body;
  const running = (count: number) => when('/health', ({ body }) => body.supervisor.modules.uploads.running === count);

  it('answers an upload at once, and gives its result to who asks', async () => {
    await start();
    const text = 'a line\n'.repeat(100_000);
    expect(await ended(await accepted(text))).toMatchObject({
      status: 'done',
      bytes: text.length,
      result: {
        sha256: createHash('sha256').update(text).digest('hex'),
        gzipBytes: gzipSync(text).length,
        lines: 100_000,
      },
    });
    expect((await client.get('/uploads/unknown')).status).toBe(404);
  });

  it('says how far an upload is', async () => {
    await start({ maxWorkers: 1 });
    const first = await accepted(`${chaos.hold}${holdPath}`);
    const second = await accepted('text');
    expect(await when(first, ({ body }) => body.status === 'running')).toMatchObject({ body: { progress: 0 } });
    expect((await client.get(second)).body).toMatchObject({ status: 'waiting' });
    await rm(holdPath);
    expect(await ended(first)).toMatchObject({ status: 'done' });
    expect(await ended(second)).toMatchObject({ status: 'done' });
  });

  it('fails an upload that is no text, or that ends its thread in each attempt, and no other', async () => {
    await start();
    const paths = await Promise.all(['text', 'a\0b', `${chaos.exitAlways}\n`, `${chaos.exitOnce}\n`].map(accepted));
    const records = await Promise.all(paths.map(ended));
    expect(records).toMatchObject([
      { status: 'done' },
      { status: 'failed', error: { name: 'TypeError', message: 'not a text: byte 1 is 0' } },
      { status: 'failed', error: { code: 'TASK_CRASHED' } },
      { status: 'done', result: { lines: 1 } },
    ]);
    const { body } = await client.get('/health');
    expect(body.uploads).toMatchObject({ accepted: 4, done: 2, failed: 2, unfinished: 0, runs: 4 });
    expect(body.supervisor.retried).toBe(3);
  });

  it('refuses a body that is too long', async () => {
    await start({ maxBytes: 10 });
    expect((await post('10 letters')).status).toBe(202);
    expect((await post('11 letters!')).status).toBe(413);
  });

  it('forgets a result that has expired', async () => {
    await start({ resultTtlMs: 1 });
    const path = await accepted('text');
    await when(path, ({ status }) => status === 404);
    expect((await client.get('/health')).body.uploads).toMatchObject({ done: 1, kept: 0 });
  });

  it('reloads its settings when it is asked to, and has a new cap at once', async () => {
    await start({ maxWorkers: 1 });
    for (let n = 0; n < 3; n += 1) await accepted(`${chaos.hold}${holdPath}`);
    await running(1);
    await set({ maxWorkers: 2 });
    expect((await client.post('/reload')).status).toBe(202);
    await running(2);
    await set({ maxWorkers: 3 });
    service.signal('SIGHUP');
    await running(3);
    await rm(holdPath);
    await when('/health', ({ body }) => body.uploads.done === 3);
  });

  it('keeps its settings when the file is wrong', async () => {
    await start();
    await set({ maxWorkers: 0 });
    await client.post('/reload');
    expect((await service.line('not reloaded'))['error']).toContain('"maxWorkers" is a whole number, 1 or more; got 0');
    expect((await client.get('/health')).body.settings).toMatchObject({ maxWorkers: 2 });
  });

  it('lets a client come again later when too many uploads wait, and loses none of the others', async () => {
    await start({ maxWorkers: 1 });
    await accepted(`${chaos.hold}${holdPath}`);
    let answer = await post('text');
    let count = 1;
    for (; answer.status === 202; answer = await post('text')) count += 1;
    expect(answer).toMatchObject({ status: 503, headers: { 'retry-after': '1' } });
    expect((await client.get('/health')).body.uploads).toMatchObject({ accepted: count, unfinished: count });
    await rm(holdPath);
    await when('/health', ({ body }) => body.uploads.done === count);
  });

  it.each(['SIGTERM', 'SIGINT'] as const)(
    'finishes what it has accepted on %s, and takes nothing new',
    async (signal) => {
      await start({ maxWorkers: 1 });
      const paths = [await accepted(`${chaos.hold}${holdPath}`)];
      for (let n = 0; n < 20; n += 1) paths.push(await accepted(`text ${n}`));
      service.signal(signal);
      expect(await service.line('stopping')).toMatchObject({ accepted: 21, unfinished: 21 });
      expect(await post('text')).toMatchObject({ status: 503, headers: { connection: 'close' } });
      expect((await client.get(paths[20] as string)).body).toMatchObject({ status: 'waiting' });
      expect((await client.get('/health')).status).toBe(503);
      await rm(holdPath);
      expect(await service.ended).toBe(0);
      expect(await service.line('stopped')).toMatchObject({ accepted: 21, done: 21, unfinished: 0, terminated: 0 });
    },
  );

  it('stops in time, and says what it has not finished', async () => {
    await start({ maxWorkers: 1, stopWithinMs: 500 }, 'ignore');
    for (let n = 0; n < 3; n += 1) await accepted(`${chaos.hold}${holdPath}`);
    await running(1);
    service.signal('SIGTERM');
    expect(await service.ended).toBe(1);
    expect(await service.line('stopped')).toMatchObject({ accepted: 3, unfinished: 3 });
  });

  it('ends at once on a second signal', async () => {
    await start({ maxWorkers: 1, stopWithinMs: 1_000_000 }, 'ignore');
    for (let n = 0; n < 3; n += 1) await accepted(`${chaos.hold}${holdPath}`);
    await running(1);
    service.signal('SIGTERM');
    await service.line('stopping');
    service.signal('SIGTERM');
    expect(await service.ended).toBe(1);
    expect(await service.line('stopped')).toMatchObject({ accepted: 3, unfinished: 3 });
  });
});

describe('the load script of the service example', () => {
  it('finds nothing wrong, with threads that die and a stop in the middle', { timeout: 120_000 }, async () => {
    const uploads = 100; // of each kind, one of a megabyte
    const args = [compiledExample('service/load'), '--uploads', `${uploads}`];
    const settings = fileURLToPath(new URL('../examples/service/settings.json', import.meta.url));
    const env = { ...process.env, SERVICE_SETTINGS: settings };
    const { stdout, stderr } = await promisify(execFile)(process.execPath, args, { env });
    expect(stderr).toBe('');
    expect(stdout).toMatch(new RegExp(`^${uploads} uploads, \\d+\\.\\d MB, in `));
    const failed = uploads / 100;
    expect(stdout).toContain(
      `${uploads - failed} done, ${failed} failed as they should, 3 tried again after their thread had died`,
    );
    expect(stdout).toMatch(/stopped in \d+ ms, with \d+ uploads in flight; 0 were left/);
  });
});
