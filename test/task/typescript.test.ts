/** Task modules in TypeScript, as threads and children import them: by Node itself where it strips types, else by tsx. */
import { TaskSupervisor, tasksFrom } from 'taskwarden';
import { afterAll, expect, it } from 'vitest';

const url = new URL('../fixtures/tasks/typescript-only.ts', import.meta.url);
const supervisor = new TaskSupervisor();

afterAll(() => supervisor.stop());

it.each(['thread', 'process'] as const)('a %s imports a module in TypeScript as it is', async (type) => {
  const { place } = tasksFrom<typeof import('../fixtures/tasks/typescript-only.ts')>(url, { type, supervisor });
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  expect(await place()).toEqual({ url: url.href, strips: major > 22 || (major === 22 && minor >= 18) });
});
