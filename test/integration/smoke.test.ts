import { backgroundTask, TaskSupervisor } from 'taskwarden';
import { expect, it } from 'vitest';

const add = backgroundTask(async function add(a: number, b: number) {
  const { createHash } = await import('node:crypto');
  return createHash('sha1')
    .update(String(a + b))
    .digest('hex');
});

it('runs', async () => {
  await using supervisor = new TaskSupervisor();
  expect(await add.with({ supervisor })(1, 2)).toMatch(/^[0-9a-f]{40}$/);
});
