import { setFlagsFromString } from 'node:v8';
import { expect, it } from 'vitest';
import { BulkResults } from '../../src/dispatch/bulk/bulk-results.ts';

setFlagsFromString('--allow-natives-syntax');
const isSparse = new Function('array', 'return %HasDictionaryElements(array)') as (array: unknown[]) => boolean;

it.each([100_000, undefined])('results that come in any order make no sparse array; total: %s', (total) => {
  const results = new BulkResults({ areOutcomes: false, onResult: undefined });
  let wasSparse = false;
  for (let read = 5_000; read <= 100_000; read += 5_000) {
    results.reserve(read, total);
    for (let index = read - 1; index >= read - 5_000; index -= 1) {
      results.succeed(index, index);
      if (index === read - 1) wasSparse ||= isSparse(results.values);
    }
  }
  expect(wasSparse).toBe(false);
  expect(results.values).toEqual(Array.from({ length: 100_000 }, (_, index) => index));
});
