/**
 * Task ids are UUIDs that both sides can build from a sequence number, so an id costs nothing until it is read.
 * The prefix holds 74 random bits for each supervisor; the last 48 bits count its tasks.
 */
import { randomUUID } from '../../platform/globals.ts';

const digits = 12;

export function newIdPrefix(): string {
  return randomUUID().slice(0, -digits);
}

export function taskId(prefix: string, sequence: number): string {
  return prefix + sequence.toString(16).padStart(digits, '0');
}
