/** Numbers of priorities, and the place of a task among those that wait: by its priority, and then by when it came. */
import type { Priority } from '../../../../index.ts';

const priorities: readonly Priority[] = ['critical', 'high', 'normal', 'low'];

/** More places than are ever given, and few enough that a rank is a whole number. */
const placesEach = 2 ** 48;

export function numberOf(priority: Priority): number {
  return priorities.indexOf(priority);
}

export function priorityOf(number: unknown): Priority {
  return priorities[Number(number)] ?? 'normal';
}

export function rankOf(priority: number, place: number): number {
  return priority * placesEach + place;
}

/** All that wait with this priority or above have a rank below. */
export function rankAfter(priority: number): number {
  return rankOf(priority + 1, 0);
}
