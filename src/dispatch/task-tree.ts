/**
 * Which task has called which, and which waits for which. A child goes to the front of its queue, behind its older
 * siblings: what has begun is finished before more is begun, so that few tasks wait for their children at a time.
 * It knows no queue and no lane.
 */
import { setImmediate } from '../platform/globals.ts';
import type { ChildUpdate } from '../task/inside/task-message.ts';
import type { Task } from '../task/record/task.ts';

interface Children {
  /** Those that have not ended. */
  readonly all: Set<Task>;
  /** Those of them that the parent waits for. */
  readonly awaited: Set<Task>;
  /** The child that was queued last. */
  last: Task | undefined;
}

interface Child {
  readonly parent: Task;
  /** Sends the parent what becomes of the child. Absent: the parent sees it itself, or has ended without the child. */
  readonly send: ((update: ChildUpdate) => void) | undefined;
}

export class TaskTree {
  readonly #childrenOf = new Map<Task, Children>();
  readonly #children = new Map<Task, Child>();
  /**
   * Children that ended in this turn of the event loop: the message that their parent waits for them may be on its way.
   */
  readonly #justEnded = new Map<string, Task>();
  /** Children that have joined another task: it runs for them, and they wait for it. */
  readonly #leaders = new Map<Task, Task>();
  readonly #followers = new Map<Task, Set<Task>>();

  /**
   * @param send Sends the parent what becomes of the child, where it can't see that itself: in a thread or child
   * process.
   */
  addChild(parent: Task, child: Task, send?: (update: ChildUpdate) => void): void {
    child.setParent(parent);
    this.#children.set(child, { parent, send });
    if (parent.isSettled) return;
    parent.isParent = true;
    this.#of(parent).all.add(child);
  }

  #of(parent: Task): Children {
    let children = this.#childrenOf.get(parent);
    if (children === undefined) {
      children = { all: new Set(), awaited: new Set(), last: undefined };
      this.#childrenOf.set(parent, children);
    }
    return children;
  }

  /** Whether the task is a child of that parent, and neither has ended. */
  isChild(task: Task, parent: Task): boolean {
    return this.#childrenOf.get(parent)?.all.has(task) === true;
  }

  /** The task that has called it. */
  parentOf(child: Task): Task | undefined {
    return this.#children.get(child)?.parent;
  }

  /** A child that has ended in this turn of the event loop. */
  justEnded(id: string): Task | undefined {
    return this.#justEnded.get(id);
  }

  /** For a child that is about to be queued: the sibling that it goes behind, if that still waits in the same queue. */
  olderSibling(child: Task): Task | undefined {
    const parent = this.#children.get(child)?.parent;
    if (parent === undefined || parent.isSettled) return undefined;
    const siblings = this.#of(parent);
    const { last } = siblings;
    siblings.last = child;
    const waits = last?.status === 'queued' && !last.hasSlot;
    return waits && last.priority === child.priority && last.type === child.type ? last : undefined;
  }

  /** How many tasks have called one another down to this one, of those that have not ended. */
  depthOf(task: Task): number {
    let depth = 0;
    let parent = this.#children.get(task)?.parent;
    while (parent !== undefined && !parent.isSettled) {
      depth += 1;
      parent = this.#children.get(parent)?.parent;
    }
    return depth;
  }

  /** Sends the parent what becomes of its child. False: there is nobody to send it to. */
  update(child: Task, update: ChildUpdate): boolean {
    const send = this.#children.get(child)?.send;
    send?.(update);
    if (child.isShared && update.kind !== 'data') {
      for (const follower of this.#followers.get(child) ?? []) this.#children.get(follower)?.send?.(update);
    }
    return send !== undefined;
  }

  /** The parent waits for the child from now on. True: it waited for no other. */
  wait(parent: Task, child: Task): boolean {
    const { awaited } = this.#of(parent);
    awaited.add(child);
    return awaited.size === 1;
  }

  /** The parent need not wait for the child any more. Gives the parent, if it waits for no other child. */
  endWait(child: Task): Task | undefined {
    const parent = this.#children.get(child)?.parent;
    const awaited = parent && this.#childrenOf.get(parent)?.awaited;
    return awaited?.delete(child) && awaited.size === 0 ? parent : undefined;
  }

  /**
   * The held-back tasks that a task waits for, directly or not, in the order in which it began to; or itself, if it is
   * held back.
   */
  *heldFor(task: Task): Generator<Task> {
    const first = this.#leaders.get(task) ?? task;
    if (first.isHeld) yield first;
    const waiting = [first];
    for (const parent of waiting) {
      for (const child of this.#childrenOf.get(parent)?.awaited ?? []) {
        const runs = this.#leaders.get(child) ?? child;
        if (runs.isHeld) yield runs;
        else if (!waiting.includes(runs)) waiting.push(runs);
      }
    }
  }

  /** The nearest of a task's callers that is in the same module and waits for it; with `ofKey`, one of the same key. */
  lenderOf(task: Task, ofKey = false): Task | undefined {
    for (const each of [task, ...(this.#followers.get(task) ?? [])]) {
      const lender = this.#lenderAbove(each, task, ofKey);
      if (lender !== undefined) return lender;
    }
    return undefined;
  }

  #lenderAbove(start: Task, task: Task, ofKey: boolean): Task | undefined {
    let child = start;
    for (;;) {
      const parent = this.#children.get(child)?.parent;
      if (parent === undefined || !this.#childrenOf.get(parent)?.awaited.has(child)) return undefined;
      if (parent.bulkhead === task.bulkhead && (!ofKey || parent.key === task.key)) return parent;
      child = parent;
    }
  }

  /** A child has joined another task. */
  follow(child: Task, leader: Task): void {
    this.#leaders.set(child, leader);
    const followers = this.#followers.get(leader) ?? new Set<Task>();
    followers.add(child);
    this.#followers.set(leader, followers);
  }

  unfollow(child: Task): void {
    const leader = this.#leaders.get(child);
    if (leader === undefined) return;
    this.#leaders.delete(child);
    const followers = this.#followers.get(leader);
    followers?.delete(child);
    if (followers?.size === 0) this.#followers.delete(leader);
  }

  /** Whether a task has called the other one, directly or not, also through tasks that others have joined. */
  isAbove(task: Task, below: Task): boolean {
    const all = new Set([below]);
    for (const each of all) {
      if (each === task) return true;
      const parent = this.#children.get(each)?.parent;
      if (parent !== undefined) all.add(parent);
      for (const follower of this.#followers.get(each) ?? []) all.add(follower);
    }
    return false;
  }

  /** A child has ended: its parent gets the last update. */
  removeChild(child: Task, update: ChildUpdate): void {
    const { parent, send } = this.#children.get(child) ?? {};
    if (parent === undefined) return;
    this.#children.delete(child);
    const siblings = this.#childrenOf.get(parent);
    siblings?.all.delete(child);
    if (siblings?.last === child) siblings.last = undefined;
    if (send === undefined) return;
    if (this.#justEnded.size === 0) setImmediate(() => this.#justEnded.clear());
    this.#justEnded.set(child.id, child);
    send(update);
  }

  /** Forgets the children of a task, and gives those that have not ended and those that it waited for. */
  removeChildren(parent: Task): { readonly all: ReadonlySet<Task>; readonly awaited: ReadonlySet<Task> } | undefined {
    const children = this.#childrenOf.get(parent);
    this.#childrenOf.delete(parent);
    parent.isParent = false;
    return children;
  }

  /** Nobody gets updates of the child any more. True: somebody did until now. */
  endUpdates(child: Task): boolean {
    const known = this.#children.get(child);
    if (known?.send === undefined) return false;
    this.#children.set(child, { parent: known.parent, send: undefined });
    return true;
  }
}
