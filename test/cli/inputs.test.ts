import { Readable } from 'node:stream';
import { expect, it } from 'vitest';
import { splitLines } from '../../src/cli/map/inputs.ts';

async function split(...chunks: string[]): Promise<string[]> {
  const lines: string[] = [];
  for await (const line of splitLines(Readable.from(chunks))) lines.push(line);
  return lines;
}

it('splits text at its line ends, wherever its chunks do', async () => {
  expect(await split('one\ntwo\n')).toEqual(['one', 'two']);
  expect(await split('on', 'e', '\n', 'two', '\nthree\n')).toEqual(['one', 'two', 'three']);
});

it('takes the line ends of Windows, in one chunk or two', async () => {
  expect(await split('one\r\ntwo\r', '\nthree\r\n')).toEqual(['one', 'two', 'three']);
});

it('gives a last line that has no end, and none after a last line that has one', async () => {
  expect(await split('one\ntwo')).toEqual(['one', 'two']);
  expect(await split('one\n')).toEqual(['one']);
  expect(await split()).toEqual([]);
});

it('keeps lines that are empty', async () => {
  expect(await split('\n\none\n\n')).toEqual(['', '', 'one', '']);
});

it('splits at no other sign, so that JSON stays whole', async () => {
  expect(await split('{"a":"\u2028\u2029\v\f"}\n')).toEqual(['{"a":"\u2028\u2029\v\f"}']);
  expect(await split('one\rtwo\n')).toEqual(['one\rtwo']);
});
