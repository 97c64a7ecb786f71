/**
 * Errors of the libraries that talk with servers, as they can be shown: they carry the command that failed, with passwords,
 * scripts and the data of tasks among its arguments, and what a server says may repeat some of it.
 */
import { fieldOf, isError, messageOf, textOf } from '../base/foreign-value.ts';

/** What says where an error comes from, and nothing of what was asked. */
const kept = ['code', 'errno', 'syscall', 'address', 'port', 'hostname'] as const;

/** A server repeats here what it was sent. */
const repeats = /(, with args beginning with: |: "| script: [0-9a-f]{40}|: -?[A-Z]+ .*@user_script).*$/s;

/** An error of its name, message and codes alone; the same for each in it. Never throws. */
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
