import { describe, expect, it } from 'vitest';
import { Command, taskwarden, taskwardenHere } from './command.ts';

describe('run', () => {
  it.each(['SIGTERM', 'SIGINT'] as const)(
    'keeps a service running until %s, and lets its tasks finish',
    async (signal) => {
      const command = new Command(['run', './service.mjs']);
      await command.says('stdout', 'hello service\n');
      command.process.kill(signal);
      const end = await command.end();
      expect(end).toMatchObject({ code: 0, signal: null, stderr: '' });
      expect(end.stdout.split('\n').sort()).toEqual([
        '',
        'finished while it was stopping',
        'hello service',
        'stopped, 1 finished',
      ]);
    },
  );

  it('ends at once with the second signal, whatever runs', async () => {
    const command = new Command(['run', './endless-service.mjs']);
    await command.says('stdout', 'spinning');
    command.process.kill('SIGTERM');
    await command.says('stdout', 'stopping');
    command.process.kill('SIGTERM');
    expect((await command.end()).code).toBe(143);
  });

  it('has started the supervisor, and lets a service block on it, too', async () => {
    const command = new Command(['run', './self-blocking-service.ts']);
    await command.says('stdout', 'running');
    command.process.kill('SIGTERM');
    expect(await command.end()).toMatchObject({ code: 0, stdout: 'running\nafter block\n' });
  });

  it('ends when the service stops the supervisor itself', async () => {
    expect(await taskwarden(['run', './self-stopping-service.cjs'])).toMatchObject({ code: 0, stdout: 'stopped\n' });
  });

  it('says why a module could not be imported, with exit code 1', async () => {
    const end = await taskwarden(['run', './throws-while-loading.mjs']);
    expect(end).toMatchObject({ code: 1, stdout: '' });
    expect(end.stderr).toMatch(/^taskwarden: \.\/throws-while-loading\.mjs could not be imported: Error: this module/);
  });

  it.each([
    ['no module', [], /run takes one module/],
    ['two modules', ['./service.mjs', './service.mjs'], /run takes one module/],
    ['a module that is not there', ['./nowhere.ts'], /there is no file \.\/nowhere\.ts/],
    ['an unknown flag', ['./service.mjs', '--bogus'], /'--bogus'/],
  ])('refuses a wrong call in a line or two, with exit code 2: %s', async (_, args, message) => {
    const end = await taskwardenHere(['run', ...args]);
    expect(end).toMatchObject({ code: 2, stdout: '' });
    expect(end.stderr).toMatch(message);
    expect(end.stderr).toMatch(/^taskwarden: .*\nSee taskwarden --help\n$/);
  });
});
