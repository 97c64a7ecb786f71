/** A place in the order of a queue: by the time, then by the number of the task, then by the turn of its key. */

export interface Place {
  /** On the clock of `now()`. */
  readonly queuedAt: number;
  readonly sequence: number;
  /** How many turns of keys lie between it and the task whose place it was. */
  readonly turn?: number;
}

export function comesBefore(a: Place, b: Place): boolean {
  if (a.queuedAt !== b.queuedAt) return a.queuedAt < b.queuedAt;
  if (a.sequence !== b.sequence) return a.sequence < b.sequence;
  return (a.turn ?? 0) < (b.turn ?? 0);
}

/** The place of an item, without the item. */
export function placeOf({ queuedAt, sequence, turn = 0 }: Place): Place {
  return { queuedAt, sequence, turn };
}
