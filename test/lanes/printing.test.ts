/** What tasks print is printed by the program, whether somebody reads it or not. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { PassThrough } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { forwardOutput } from '../../src/lanes/process/printed-output.ts';

const program = fileURLToPath(new URL('../fixtures/programs/prints-to-nobody.mjs', import.meta.url));

it.each(['thread', 'process'])('tasks that print in a %s end though nobody reads it any more', async (type) => {
  const child = spawn(process.execPath, [program, type], { stdio: ['ignore', 'pipe', 'pipe'] });
  child.stdout.once('data', () => child.stdout.destroy());
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    said += text;
  });
  expect(await once(child, 'close')).toEqual([0, null]);
  expect(said).toMatch(/^40 ended$/m);
  expect(said).not.toContain('listeners');
});

it('many that print wait for a slow reader with one listener, and go on when it has read, or has gone', async () => {
  const before = Object.getOwnPropertyDescriptor(process, 'stdout') as PropertyDescriptor;
  for (const how of ['read', 'gone'] as const) {
    const slow = new PassThrough({ highWaterMark: 1 });
    Object.defineProperty(process, 'stdout', { configurable: true, value: slow });
    try {
      const printed = Array.from({ length: 30 }, () => new PassThrough());
      for (const each of printed) forwardOutput(each, 'stdout');
      for (const each of printed) each.write('text');
      await new Promise(setImmediate);
      expect(printed.every((each) => each.isPaused())).toBe(true);
      expect(slow.listenerCount('drain')).toBe(1);
      if (how === 'read') slow.resume();
      else slow.destroy();
      await once(slow, how === 'read' ? 'drain' : 'close');
      expect(printed.some((each) => each.isPaused())).toBe(false);
      expect(slow.listenerCount('drain')).toBe(0);
    } finally {
      Object.defineProperty(process, 'stdout', before);
    }
  }
});
