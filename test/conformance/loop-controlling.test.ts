import { controller, TaskSupervisor, waitUntilDone } from 'taskwarden';
import { expect, it } from 'vitest';
import { testControlling } from './controlling.ts';

testControlling({ type: 'loop', pool: 'loop' });

it('controller() takes a function for the loop that could not be sent anywhere else', async () => {
  await using supervisor = new TaskSupervisor({ logger: false });
  const bound = function (this: number) {
    return this + 1;
  }.bind(1);
  expect(await controller(waitUntilDone(), bound, { type: 'loop', supervisor })()).toBe(2);
});
