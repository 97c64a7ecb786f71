/** Which versions of bullmq and better-sqlite3 couriers take, and what they say of others. */
import { expect, it } from 'vitest';
import { versionProblem } from '../../src/integrations/bullmq/peers.ts';
import { packageProblem } from '../../src/integrations/sqlite/driver.ts';

it.each(['6.4.0', '6.7.0', '6.12.3', '6.8.0-beta.1'])('bullmq %s is taken', (version) => {
  expect(versionProblem(version)).toBeUndefined();
});

it.each(['5.81.5', '6.3.16', '7.0.0'])('of bullmq %s it is said what is needed', (version) => {
  expect(versionProblem(version)).toBe(`bullmq 6.4 or later, below 7, and found ${version}: npm install bullmq@^6.4.0`);
});

const instead = 'npm install better-sqlite3@^12, or use Node 22.13 or later, which has SQLite of its own';

it.each([
  ['12.0.0', undefined],
  ['12.11.1', undefined],
  ['11.9.0', `better-sqlite3 12, and found 11.9.0: ${instead}`],
  ['13.0.1', `better-sqlite3 12, and found 13.0.1: ${instead}`],
  [undefined, `the package better-sqlite3, as Node 20.19.0 has no SQLite: ${instead}`],
])('of better-sqlite3 %s it is said what is needed', (version, problem) => {
  expect(packageProblem('20.19.0', version)).toBe(problem);
});
