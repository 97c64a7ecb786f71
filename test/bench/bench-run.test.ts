/** The bench, on a machine that lacks what one of its rows needs. */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';

const folder = fileURLToPath(new URL('../..', import.meta.url));

it('says in one line why a row was not measured, and goes on', { timeout: 120_000 }, async () => {
  const args = ['--import', 'tsx', 'bench/main.ts', 'couriers', 'couriers'];
  const { code, stdout, stderr } = await new Promise<{ code: unknown; stdout: string; stderr: string }>((resolve) => {
    execFile(process.execPath, args, { cwd: folder, env: { PATH: '/nowhere' } }, (error, stdout, stderr) =>
      resolve({ code: error?.code, stdout, stderr }),
    );
  });
  const why =
    /^ {2}not measured: redis-server, which has to be in the PATH, can't be started \(spawn redis-server ENOENT\)$/gm;
  expect(stdout.match(why)).toHaveLength(2);
  expect({ code, stderr }).toEqual({ code: 1, stderr: '' });
});
