/** What the bench says of a row that could not be measured. */
import { expect, it } from 'vitest';
import { resultsPage, rowText, summaryText } from '../../bench/report.ts';

const row = { number: '13', name: 'redis', work: 'tasks over Redis', load: async () => ({ measure: async () => [] }) };
const result = { row, measurements: [], failure: 'there is no redis-server\n    at startRedis' };

it('is why, in one line', () => {
  expect(rowText(result)).toBe('  not measured: there is no redis-server');
});

it('is why, in the place of its tables', () => {
  expect(resultsPage([result])).toContain('## 13. Tasks over Redis\n\nNot measured: there is no redis-server.\n');
  expect(summaryText([result])).toMatch(/^Targets: 0 of 0 held/);
});

it('is why, among the targets', () => {
  expect(summaryText([result])).toMatch(/^ {4}13 \(redis\) was not measured: there is no redis-server$/m);
});
