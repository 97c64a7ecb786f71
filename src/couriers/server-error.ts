/**
 * Removes secrets from errors of client libraries: such errors carry the failed command with its arguments, which may be
 * passwords, scripts or data of tasks, and the text from a server may repeat them.
 */
import { fieldOf, isError, messageOf, textOf } from '../base/foreign-value.ts';

/** The fields that say where an error comes from, and contain nothing of the command. */
const kept = ['code', 'errno', 'syscall', 'address', 'port', 'hostname'] as const;

/** The parts of messages in which servers repeat what they were sent. */
const repeats = /(, with args beginning with: |: "| script: [0-9a-f]{40}|: -?[A-Z]+ .*@user_script).*$/s;

/** A copy with only name, message and codes; the errors of an AggregateError are copied the same way. Never throws. */
export function serverError(thrown: unknown): Error {
  const error = new Error(messageOf(thrown).replace(repeats, ''));
  if (isError(thrown)) {
    const name = textOf(fieldOf(thrown, 'name'));
    if (name !== 'Error') show(error, 'name', name);
    for (const key of kept) {
      const value = fieldOf(thrown, key);
      if (typeof value === 'string' || typeof value === 'number') show(error, key, value);
    }
    const errors = fieldOf(thrown, 'errors');
    if (Array.isArray(errors)) show(error, 'errors', errors.slice(0, 10).map(serverError));
  }
  return error;
}

function show(error: Error, key: string, value: unknown): void {
  Object.defineProperty(error, key, {
    value,
    enumerable: key !== 'name' && key !== 'errors',
    configurable: true,
    writable: true,
  });
}
