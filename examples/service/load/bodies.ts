/** The bodies that are sent, no two alike, each with what is to come of it. */
import { createHash } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import { chaos } from '../chaos.ts';
import type { Inspection } from '../uploads.ts';

export interface Body {
  readonly content: Buffer;
  /** Undefined: it is to be refused. */
  readonly expected: Inspection | undefined;
}

const small = 4 * 1024;
const large = 1024 * 1024;

/** Of so many bodies 1 % are refused, one in 250 is large, and three end the thread that has them first. */
export function bodyOf(n: number, count: number): Body {
  const isRefused = n % 100 === 99;
  const isDeadly = [1, 2, 3].some((quarter) => n === Math.floor((count * quarter) / 4));
  const lines = `upload ${n} of ${count}: a line that is like many others, but not of another upload.\n`;
  const content = Buffer.alloc(n % 250 === 1 ? large : small, lines);
  if (isDeadly) content.write(`${chaos.exitOnce}\n`);
  if (isRefused) content[content.length - 1] = 0;
  return { content, expected: isRefused ? undefined : inspect(content) };
}

/** As the service should, in another way. */
function inspect(content: Buffer): Inspection {
  return {
    sha256: createHash('sha256').update(content).digest('hex'),
    gzipBytes: gzipSync(content).length,
    lines: content.toString('latin1').split('\n').length - 1,
  };
}
