/** The flags of a command, parsed by node:util. */
import { type ParseArgsConfig, parseArgs } from 'node:util';
import type { Rule } from '../base/options.ts';
import { UsageError } from './usage-error.ts';

/** @throws UsageError for a flag that the command does not have, or one without its value. */
export function parseFlags<C extends ParseArgsConfig>(config: C): ReturnType<typeof parseArgs<C>> {
  try {
    return parseArgs(config);
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}

/** @throws UsageError for a text that is no number, or a number that the rule refuses. */
export function numberFlag(flag: string, text: string | undefined, rule: Rule): number | undefined {
  if (text === undefined) return undefined;
  const value = text.trim() === '' ? Number.NaN : Number(text);
  checkFlag(flag, Number.isNaN(value) ? text : value, rule);
  return value;
}

/** @throws UsageError for a value that the rule refuses. */
export function checkFlag(flag: string, value: unknown, rule: Rule): void {
  try {
    rule(value, flag);
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}
