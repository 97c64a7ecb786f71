/**
 * How far a task says it is. In Python: `self.update_state(state='PROGRESS', meta={'current': 3, 'total': 10})`; a worker of
 * taskwarden stores `{ fraction, note }`.
 */
import type { Progress } from '../../../index.ts';
import { isText, objectOf } from '../protocol/envelope.ts';

/** Undefined if the meta of the state says nothing of that. */
export function progressOf(meta: unknown): Progress | undefined {
  const {
    current,
    total = 1,
    status,
    fraction = Number(current) / Number(total),
    note = status,
  } = objectOf(meta) ?? {};
  if (typeof fraction !== 'number' || Number.isNaN(fraction)) return undefined;
  const within = Math.min(Math.max(fraction, 0), 1);
  return isText(note) ? { fraction: within, note } : { fraction: within };
}
