/**
 * Whose turn it is: of each key of a fair module at most one task is in the queue of a pool and priority. The next one goes
 * behind those of all other keys that wait there, so that between two tasks of one key each other key has its turn. Pure
 * data.
 */
import type { Gate, StartLimits } from './gate.ts';
import { comesBefore, type Place, placeOf } from './order/place.ts';
import type { Priority } from './priority.ts';

interface TurnItem<T> extends Place {
  readonly priority: Priority;
  readonly bulkhead: { readonly limits: StartLimits<T> | undefined } | undefined;
  place: Place | undefined;
}

type ByPriority<V> = Partial<Record<Priority, V>>;

export class Turns<T extends TurnItem<T>> {
  /** The task of each key that has the turn. */
  readonly #items = new Map<Gate<T>, ByPriority<T>>();
  /** The last place of each module. */
  readonly #last = new WeakMap<StartLimits<T>, ByPriority<Place>>();

  /** Whether another task of that key and priority has the turn. */
  isTaken(gate: Gate<T>, priority: Priority): boolean {
    return this.#items.get(gate)?.[priority] !== undefined;
  }

  /**
   * The task has the turn of its key, and its place in the queue from now on: the given one, or one behind all others.
   */
  take(item: T, gate: Gate<T>, place?: Place): void {
    const limits = item.bulkhead?.limits;
    if (limits === undefined) return;
    const { priority } = item;
    const items = this.#items.get(gate) ?? {};
    items[priority] = item;
    this.#items.set(gate, items);
    if (place !== undefined) {
      item.place = place;
      return;
    }
    const places = this.#last.get(limits) ?? {};
    const last = places[priority];
    const own: Place = item.place ?? placeOf(item);
    if (last !== undefined && !comesBefore(last, own)) item.place = { ...last, turn: (last.turn ?? 0) + 1 };
    places[priority] = item.place ?? own;
    this.#last.set(limits, places);
  }

  /** If the task has the turn at this gate, it is for the next one now. Returns whether it had it. */
  leave(item: T, gate: Gate<T>): boolean {
    const items = this.#items.get(gate);
    if (items === undefined || items[item.priority] !== item) return false;
    delete items[item.priority];
    if (Object.keys(items).length === 0) this.#items.delete(gate);
    return true;
  }
}
