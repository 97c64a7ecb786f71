/** The inputs of `map`: where they come from, and how one becomes the arguments of a call. */
import { addAbortSignal } from 'node:stream';

/** The lines of standard input, read no faster than they are used. Ends with an AbortError if the signal aborts. */
export function standardInput(signal: AbortSignal): AsyncGenerator<string, void, undefined> {
  return splitLines(addAbortSignal(signal, process.stdin.setEncoding('utf8')));
}

/**
 * Yields lines without their line ends. Unlike node:readline it splits only at \n and \r\n, so that JSON stays whole.
 */
export async function* splitLines(chunks: AsyncIterable<string>): AsyncGenerator<string, void, undefined> {
  let rest = '';
  for await (const chunk of chunks) {
    const parts = chunk.split('\n');
    parts[0] = rest + parts[0];
    rest = parts.pop() ?? '';
    for (const line of parts) yield withoutReturn(line);
  }
  if (rest !== '') yield withoutReturn(rest);
}

export interface NumberedInput {
  /** Its place among all inputs, from 0. */
  readonly index: number;
  /** As it was given. */
  readonly text: string;
}

export async function* numbered(
  texts: Iterable<string> | AsyncIterable<string>,
): AsyncGenerator<NumberedInput, void, undefined> {
  let index = 0;
  for await (const text of texts) {
    yield { index, text };
    index += 1;
  }
}

function withoutReturn(line: string): string {
  return line.endsWith('\r') ? line.slice(0, -1) : line;
}

/** A JSON array is the list of arguments; any other JSON value is the only argument. */
export function argumentsOf(input: unknown): readonly unknown[] {
  return Array.isArray(input) ? input : [input];
}
