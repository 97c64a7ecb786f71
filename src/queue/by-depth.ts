/** The tasks in the queues of one pool that tasks have called, by priority and depth; inside both, as they came. Pure data. */
import type { Priority } from './priority.ts';

interface DeepItem {
  readonly priority: Priority;
  /** 0: no task has called it. */
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

  /** The first of the deepest. */
  deepest(priority: Priority): T | undefined {
    const sets = this.#sets[priority];
    if (sets.size === 0) return undefined;
    const [item] = sets.get(Math.max(...sets.keys())) as Set<T>;
    return item;
  }
}
