/** The queued sub-tasks of one pool by priority and depth, each group first in, first out. Pure data. */
import type { Priority } from './priority.ts';

interface DeepItem {
  readonly priority: Priority;
  /** How many tasks have called one another, down to this one; 0: the program has called it. */
  readonly depth: number;
}

export class ByDepth<T extends DeepItem> {
  readonly #sets: Readonly<Record<Priority, Map<number, Set<T>>>> = {
    critical: new Map(),
    high: new Map(),
    normal: new Map(),
    low: new Map(),
  };

  add(item: T): void {
    const { depth, priority } = item;
    if (depth === 0) return;
    const sets = this.#sets[priority];
    const set = sets.get(depth);
    if (set === undefined) sets.set(depth, new Set([item]));
    else set.add(item);
  }

  delete(item: T): void {
    const { depth, priority } = item;
    if (depth === 0) return;
    const sets = this.#sets[priority];
    const set = sets.get(depth);
    if (set?.delete(item) && set.size === 0) sets.delete(depth);
  }

  /** The oldest of the deepest tasks of this priority. */
  deepest(priority: Priority): T | undefined {
    const sets = this.#sets[priority];
    if (sets.size === 0) return undefined;
    const [item] = sets.get(Math.max(...sets.keys())) as Set<T>;
    return item;
  }
}
