/** The example program on directories of its own: its figures are right, and it ends by itself. */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm, symlink, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
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

describe('the checksums example', { timeout: 120_000 }, () => {
  let directory: string;

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'checksums-'));
  });

  afterAll(() => rm(directory, { recursive: true }));

  describe('on files, links to them, and one that it cannot read', () => {
    const count = 40;
    let gzipBytes = 0;
    let tooLarge: string;
    let stdout: string;
    let stderr: string;

    beforeAll(async () => {
      const full = join(directory, 'full');
      await mkdir(join(full, 'deep', 'deeper'), { recursive: true });
      for (let n = 0; n < count; n += 1) {
        const content = Buffer.alloc(100_000, `file ${n} of many. `);
        gzipBytes += gzipSync(content).byteLength;
        await writeFile(join(full, n % 2 === 0 ? 'deep/deeper' : '.', `${n}.txt`), content);
      }
      await symlink(join(full, '1.txt'), join(full, 'link.txt'));
      await symlink(full, join(full, 'deep', 'loop'));
      tooLarge = join(full, 'sparse.bin'); // readFile takes no more than 2 GiB; the file itself takes no room
      await writeFile(tooLarge, '');
      await truncate(tooLarge, 3 * 2 ** 30);
      ({ stdout, stderr } = await run(process.execPath, [...checksums, full]));
    }, 120_000);

    it('counts files, bytes and compressed bytes, and gives the waiting of each priority', () => {
      expect(stderr).toBe('');
      expect(table(stdout, 'files')).toEqual([
        {
          files: `${count}`,
          MB: '4.0',
          'gzip MB': (gzipBytes / 1e6).toFixed(1),
          seconds: expect.stringMatching(/^\d+\.\d$/),
          'MB/s': expect.stringMatching(/^\d+\.\d$/),
          failures: '1',
        },
      ]);
      const waits = table(stdout, 'priority');
      expect(waits.map(({ priority }) => priority)).toEqual(['low', 'high', 'critical']);
      expect(waits[0]?.['tasks']).toBe(`${count + 1}`);
      for (const wait of waits) {
        expect(Number(wait['tasks'])).toBeGreaterThan(0);
        expect(Number(wait['wait p99 ms'])).toBeGreaterThanOrEqual(Number(wait['wait p50 ms']));
      }
      expect(stdout).toContain('0 tasks and 0 threads are left');
    });

    it('does not follow symbolic links', () => {
      expect(stdout).toMatch(new RegExp(`^${count + 1} files under `));
      expect(table(stdout, 'files')).toMatchObject([{ files: `${count}` }]);
    });

    it('counts a file that it cannot read, and goes on with the others', () => {
      expect(table(stdout, 'files')).toMatchObject([{ files: `${count}`, failures: '1' }]);
      expect(stdout).toContain(`${tooLarge}: RangeError`);
    });
  });

  it('has nothing to do in an empty directory, and ends', async () => {
    const empty = join(directory, 'empty');
    await mkdir(empty);
    const { stdout } = await run('npm', ['start', '--silent', '--ignore-scripts', '--', empty], { cwd: root });
    expect(table(stdout, 'files')).toMatchObject([{ files: '0', MB: '0.0', failures: '0' }]);
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
    await expect(run(process.execPath, [...checksums, missing])).rejects.toMatchObject({
      code: 2,
      stderr: `${missing} is not a directory\n`,
    });
  });
});
