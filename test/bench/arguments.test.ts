import { expect, it } from 'vitest';
import { parseArguments, usage } from '../../bench/arguments.ts';
import { findRow, rows } from '../../bench/rows.ts';

it('without arguments, all rows are measured in full, and written', () => {
  expect(parseArguments([])).toEqual({ rows, pace: 'full', isWritten: true });
});

it('a quick run is of all rows, and is not written', () => {
  expect(parseArguments(['--quick'])).toEqual({ rows, pace: 'quick', isWritten: false });
});

it('rows are named by number or name, are measured in the order given, and are not written', () => {
  const wanted = parseArguments(['window', '--quick', '1']);
  expect(wanted).toEqual({ rows: [findRow('2'), findRow('deep-queue')], pace: 'quick', isWritten: false });
  expect(parseArguments(['12'])).toMatchObject({ pace: 'full', isWritten: false });
});

it('an unknown row is answered with all that there are', () => {
  expect(() => parseArguments(['no-row'])).toThrow(
    /^there is no row "no-row"; there are 1 \(deep-queue\), 1b \(all\), 2 \(window\), /,
  );
});

it('an unknown option is named', () => {
  expect(() => parseArguments(['--fast'])).toThrow(/Unknown option '--fast'/);
});

it('the help lists each row, and the names of rows are unique', () => {
  expect(parseArguments(['1', '--help'])).toBe('help');
  for (const { number, name, work } of rows)
    expect(usage).toContain(`  ${number.padEnd(4)} ${name.padEnd(18)} ${work}`);
  expect(new Set(rows.flatMap(({ number, name }) => [number, name])).size).toBe(2 * rows.length);
});
