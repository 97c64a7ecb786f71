/** Which versions of bullmq couriers take, and what they say of others. */
import { expect, it } from 'vitest';
import { versionProblem } from '../../src/integrations/bullmq/peers.ts';

it.each(['6.4.0', '6.7.0', '6.12.3', '6.8.0-beta.1'])('bullmq %s is taken', (version) => {
  expect(versionProblem(version)).toBeUndefined();
});

it.each(['5.81.5', '6.3.16', '7.0.0'])('of bullmq %s it is said what is needed', (version) => {
  expect(versionProblem(version)).toBe(`bullmq 6.4 or later, below 7, and found ${version}: npm install bullmq@^6.4.0`);
});
