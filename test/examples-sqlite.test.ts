/** The durable example as a process: all orders are done though their program is killed, and nothing is left after it. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { compiledExample } from './compiled-tasks.ts';
import { lengthOf } from './fixtures/random-runs.ts';

const main = compiledExample('durable/main');

describe('the durable example', { timeout: 240_000 }, () => {
  let folder: string;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'durable-'));
  });

  afterEach(() => rm(folder, { recursive: true }));

  function start(...args: readonly string[]) {
    const child = spawn(process.execPath, [main, ...args], {
      env: { ...process.env, TMPDIR: folder },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    onTestFinished(() => void child.kill('SIGKILL'));
    const said = { output: '', errors: '' };
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      said.output += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      said.errors += text;
    });
    const ended = once(child, 'close').then(([code]) => ({ code: code as number | null, ...said }));
    const says = async (words: string) => {
      while (!said.output.includes(words)) {
        const end = await Promise.race([once(child.stdout, 'data').then(() => undefined), ended]);
        if (end !== undefined) throw new Error(`it has ended without "${words}": ${JSON.stringify(end)}`);
      }
    };
    return { child, ended, says };
  }

  it('does every order, once as far as its key tells, though its program is killed', async () => {
    const [tasks, kills] = lengthOf([300, 4], [5_000, 20]);
    const { code, output, errors } = await start('--tasks', `${tasks}`, '--kills', `${kills}`).ended;
    expect(errors).toBe('');
    expect(output).toMatch(new RegExp(`^${tasks} orders are in `));
    expect(output).toContain(`the program was killed ${kills} times\n`);
    for (const step of ['charge', 'mail']) {
      expect(output).toMatch(
        new RegExp(`^${step}: done for ${tasks} orders, and \\d+ times again for the same key$`, 'm'),
      );
    }
    expect(code).toBe(0);
    expect(await readdir(folder)).toEqual([]);
  });

  it('ends its program on Ctrl-C, and leaves no file', async () => {
    const { child, ended, says } = start();
    await says('5000 orders are in ');
    child.kill('SIGINT');
    // The other program writes to the same pipes, so that these are closed when both have ended.
    expect(await ended).toMatchObject({ code: 130, output: expect.stringContaining('interrupted'), errors: '' });
    expect(await readdir(folder)).toEqual([]);
  });

  it('says what it takes', async () => {
    expect(await start('--kills', 'many').ended).toMatchObject({ code: 2, output: '' });
  });
});
