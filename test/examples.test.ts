/** The example program on directories of its own: its figures are right, and it ends by itself. */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm, symlink, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { compiledExample } from './compiled-tasks.ts';

const run = promisify(execFile);
const root = fileURLToPath(new URL('..', import.meta.url));
const checksums = [compiledExample('checksums/main')];

/** The rows of the table that has such a column, each as an object. */
function table(output: string, column: string): Record<string, string>[] {
  const lines = output.split('\n');
  const start = lines.findIndex((line) => line.trim().split(/ {2,}/).includes(column));
  if (start < 0) throw new Error(`no table has a column "${column}" in:\n${output}`);
  const cells = (line: string) => line.trim().split(/ {2,}/);
  const head = cells(lines[start] ?? '');
  const end = lines.indexOf('', start);
  return lines.slice(start + 1, end).map((line) => Object.fromEntries(cells(line).map((cell, i) => [head[i], cell])));
}

describe('the checksums example', () => {
  let directory: string;

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'checksums-'));
  });

  afterEach(() => rm(directory, { recursive: true }));

  async function fill(count: number, bytes: number): Promise<number> {
    let gzipBytes = 0;
    await mkdir(join(directory, 'deep', 'deeper'), { recursive: true });
    for (let n = 0; n < count; n += 1) {
      const content = Buffer.alloc(bytes, `file ${n} of many. `);
      gzipBytes += gzipSync(content).byteLength;
      await writeFile(join(directory, n % 2 === 0 ? 'deep/deeper' : '.', `${n}.txt`), content);
    }
    return gzipBytes;
  }

  it('counts files, bytes and compressed bytes, and gives the waiting of each priority', async () => {
    const gzipBytes = await fill(40, 100_000);
    const { stdout, stderr } = await run(process.execPath, [...checksums, directory]);
    expect(stderr).toBe('');
    expect(table(stdout, 'files')).toEqual([
      {
        files: '40',
        MB: '4.0',
        'gzip MB': (gzipBytes / 1e6).toFixed(1),
        seconds: expect.stringMatching(/^\d+\.\d$/),
        'MB/s': expect.stringMatching(/^\d+\.\d$/),
        failures: '0',
      },
    ]);
    const waits = table(stdout, 'priority');
    expect(waits.map(({ priority }) => priority)).toEqual(['low', 'high', 'critical']);
    expect(waits[0]?.['tasks']).toBe('40');
    for (const wait of waits) {
      expect(Number(wait['tasks'])).toBeGreaterThan(0);
      expect(Number(wait['wait p99 ms'])).toBeGreaterThanOrEqual(Number(wait['wait p50 ms']));
    }
    expect(stdout).toContain('0 tasks and 0 threads are left');
  });

  it('does not follow symbolic links', async () => {
    await fill(2, 10);
    await symlink(join(directory, '1.txt'), join(directory, 'link.txt'));
    await symlink(directory, join(directory, 'deep', 'loop'));
    const { stdout } = await run(process.execPath, [...checksums, directory]);
    expect(table(stdout, 'files')).toMatchObject([{ files: '2', failures: '0' }]);
  });

  it('has nothing to do in an empty directory, and ends', async () => {
    const { stdout } = await run(process.execPath, [...checksums, directory]);
    expect(table(stdout, 'files')).toMatchObject([{ files: '0', MB: '0.0', failures: '0' }]);
  });

  it('counts a file that it cannot read, and goes on with the others', async () => {
    await fill(6, 10);
    const tooLarge = join(directory, 'sparse.bin'); // readFile takes no more than 2 GiB; the file itself takes no room
    await writeFile(tooLarge, '');
    await truncate(tooLarge, 3 * 2 ** 30);
    const { stdout } = await run(process.execPath, [...checksums, directory]);
    expect(table(stdout, 'files')).toMatchObject([{ files: '6', failures: '1' }]);
    expect(stdout).toContain(`${tooLarge}: RangeError`);
  });

  it('stops on Ctrl-C, says how far it came, and leaves nothing behind', async () => {
    const child = spawn(process.execPath, [...checksums, join(root, 'node_modules')], {
      stdio: ['ignore', 'pipe', 'pipe'],
    }); // thousands of files
    let [stdout, stderr] = ['', ''];
    child.stdout.once('data', () => child.kill('SIGINT'));
    child.stdout.on('data', (chunk) => {
      stdout += chunk;
    });
    child.stderr.on('data', (chunk) => {
      stderr += chunk;
    });
    expect(await once(child, 'close')).toEqual([130, null]);
    expect(stderr).toMatch(/^(checksums: stopped with \d+ tasks canceled and \d+ terminated\n)?$/);
    const [, done, all] = /interrupted after (\d+) of (\d+) files/.exec(stdout) ?? [];
    expect(Number(done)).toBeLessThan(Number(all));
    expect(table(stdout, 'files')).toMatchObject([{ files: done, failures: '0' }]);
    expect(stdout).toContain('0 tasks and 0 threads are left');
  });

  it('refuses what is no directory', async () => {
    const missing = join(directory, 'missing');
    // As the README starts it, which loads a compiler: here in no thread, since none is started.
    const started = run('npm', ['start', '--silent', '--ignore-scripts', '--', missing], { cwd: root });
    await expect(started).rejects.toMatchObject({
      code: 2,
      stderr: `${missing} is not a directory\n`,
    });
  });
});
