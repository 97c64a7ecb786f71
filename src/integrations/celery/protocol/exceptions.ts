/** The exceptions of Celery's own that a worker stores, so that programs in Python get the classes that they know. */
import type { StoredException } from './result.ts';

function stored(module: string, type: string, message: unknown): StoredException {
  return { exc_type: type, exc_message: [message], exc_module: module };
}

/** It was revoked, has expired or was terminated. */
export function taskRevoked(reason: string): StoredException {
  return stored('celery.exceptions', 'TaskRevokedError', reason);
}

export function notRegistered(task: string): StoredException {
  return stored('celery.exceptions', 'NotRegistered', task);
}

export function timeLimitExceeded(limitMs: number): StoredException {
  return stored('billiard.exceptions', 'TimeLimitExceeded', limitMs / 1_000);
}

/** The thread or child died under it. */
export function workerLost(message: string): StoredException {
  return stored('billiard.exceptions', 'WorkerLostError', message);
}

/** The result is no JSON. */
export function encodeError(message: string): StoredException {
  return stored('kombu.exceptions', 'EncodeError', message);
}

/** The message is of a content type that is refused, or malformed. */
export function decodeError(message: string): StoredException {
  return stored('kombu.exceptions', 'DecodeError', message);
}

/** A task of the header has failed: so its body does. */
export function chordError(message: string): StoredException {
  return stored('celery.exceptions', 'ChordError', message);
}

/** What follows the task can't be sent from here. */
export function notImplemented(message: string): StoredException {
  return stored('builtins', 'NotImplementedError', message);
}
