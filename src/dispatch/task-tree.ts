/**
 * Tasks that were called by tasks. A child goes to the front of its queue, behind its elder siblings: what has begun is
 * finished before more is begun, so that few tasks wait for their children at a time. A parent that waits for children
 * lends its slot, and has it back at once when the last of them has ended, if need be above the limit for a while.
 */
import { TaskwardenError } from '../base/errors.ts';
import { setImmediate } from '../platform/globals.ts';
import type { ChildCommandMessage, ChildUpdate, DataMessage, SubmitMessage } from '../task/inside/task-message.ts';
import type { Task } from '../task/record/task.ts';

interface FamilyParts {
  /** The task of that id that has not ended. */
  find(id: string): Task | undefined;
  /** Cancels a task. */
  cancel(task: Task, reason: unknown): void;
  stop(task: Task): void;
  talk(task: Task, talk: DataMessage): void;
  /** Nobody will read what it says: it need not wait for that. */
  free(task: Task): void;
  /** A task calls another. */
  submit(parent: Task, word: SubmitMessage): void;
  /** Gives the slot of a running task to others, until it is resumed. */
  lend(parent: Task): void;
  resume(parent: Task): void;
  /** There may be a place in its module for a task, or for those it waits for: who waits for them lends its own. */
  lendTo(task: Task): void;
}

interface Parent {
  /** Those that have not ended. */
  readonly children: Set<Task>;
  /** Those of them that it waits for. */
  readonly awaited: Set<Task>;
  /** The child that was queued last. */
  youngest: Task | undefined;
}

interface Child {
  /** Absent: the parent can see the child itself, or has ended without it. */
  readonly tell: ((news: ChildUpdate) => void) | undefined;
  readonly parent: Task;
}

export class Families {
  readonly #parts: FamilyParts;
  readonly #parents = new Map<Task, Parent>();
  readonly #children = new Map<Task, Child>();
  /** Those that have ended in this turn: their parent may have said, but not been heard, that it waits for them. */
  readonly #ended = new Map<string, Task>();

  constructor(parts: FamilyParts) {
    this.#parts = parts;
  }

  /** @param tell Tells the parent what becomes of the child, where it can't see that. */
  adopt(parent: Task, child: Task, tell?: (news: ChildUpdate) => void): void {
    child.setParent(parent);
    this.#children.set(child, { parent, tell });
    if (parent.isSettled) return;
    parent.isParent = true;
    this.#of(parent).children.add(child);
  }

  #of(parent: Task): Parent {
    let family = this.#parents.get(parent);
    if (family === undefined) {
      family = { children: new Set(), awaited: new Set(), youngest: undefined };
      this.#parents.set(parent, family);
    }
    return family;
  }

  /** The child of that id that has not ended. A parent can have many, and asks for each. */
  #find(parent: Task, id: string): Task | undefined {
    const child = this.#parts.find(id);
    return child !== undefined && this.#parents.get(parent)?.children.has(child) ? child : undefined;
  }

  /** The child is about to be queued. Gives the sibling that it goes behind, if that still waits in the same queue. */
  elderOf(child: Task): Task | undefined {
    const parent = this.#children.get(child)?.parent;
    if (parent === undefined || parent.isSettled) return undefined;
    const family = this.#of(parent);
    const { youngest } = family;
    family.youngest = child;
    const waits = youngest?.status === 'queued' && !youngest.hasSlot;
    return waits && youngest.priority === child.priority && youngest.type === child.type ? youngest : undefined;
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

  /** False: nobody is to be told. */
  tell(child: Task, news: ChildUpdate): boolean {
    const { tell } = this.#children.get(child) ?? {};
    tell?.(news);
    return tell !== undefined;
  }

  /** What a task says of those that it calls. */
  hear(parent: Task, word: SubmitMessage | ChildCommandMessage): void {
    if (word.topic === 'submit') {
      this.#parts.submit(parent, word);
      return;
    }
    const { command } = word;
    const child = this.#find(parent, word.id);
    if (child === undefined) {
      const ended = command.kind === 'await' ? this.#ended.get(word.id) : undefined;
      if (ended !== undefined) ended.isAwaited = true;
      return;
    }
    switch (command.kind) {
      case 'cancel':
        this.#parts.cancel(child, command.reason);
        break;
      case 'stop':
        this.#parts.stop(child);
        break;
      case 'await':
        this.wait(parent, child);
        break;
      case 'data':
        try {
          this.#parts.talk(child, command.data);
        } catch (problem) {
          this.#parts.cancel(child, problem); // its parent took it for sent: a thread takes more than a child process
        }
    }
  }

  /** The parent waits for the child from now on. */
  wait(parent: Task, child: Task): void {
    if (child.isSettled || parent.isSettled) return;
    child.isAwaited = true;
    const { awaited } = this.#of(parent);
    awaited.add(child);
    if (awaited.size === 1) this.#parts.lend(parent);
    this.#parts.lendTo(child);
  }

  /** The task if it is held back, or those held back that it waits for, directly or not: the first that it waited for first. */
  *heldFor(task: Task): Generator<Task> {
    if (task.isHeld) yield task;
    const waiting = [task];
    for (const parent of waiting) {
      for (const child of this.#parents.get(parent)?.awaited ?? []) {
        if (child.isHeld) yield child;
        else waiting.push(child);
      }
    }
  }

  /** The nearest of those that called a task that is in the same module and waits for it. */
  lenderOf(task: Task): Task | undefined {
    let child = task;
    for (;;) {
      const parent = this.#children.get(child)?.parent;
      if (parent === undefined || !this.#parents.get(parent)?.awaited.has(child)) return undefined;
      if (parent.bulkhead === task.bulkhead) return parent;
      child = parent;
    }
  }

  /** A task that was called by another has ended. */
  ended(child: Task, news: ChildUpdate): void {
    const { parent, tell } = this.#children.get(child) ?? {};
    if (parent === undefined) return;
    this.#children.delete(child);
    const family = this.#parents.get(parent);
    family?.children.delete(child);
    if (family?.youngest === child) family.youngest = undefined;
    if (family?.awaited.delete(child) && family.awaited.size === 0) this.#parts.resume(parent);
    if (this.#ended.size === 0) setImmediate(() => this.#ended.clear());
    if (tell !== undefined) this.#ended.set(child.id, child);
    tell?.(news);
  }

  /** Nobody hears of it any more. */
  #leave(child: Task): void {
    const known = this.#children.get(child);
    if (known?.tell === undefined) return;
    this.#children.set(child, { ...known, tell: undefined });
    if (child.definition.callKind !== undefined) child.isAwaited = false;
    this.#parts.free(child);
  }

  /** Nobody waits for the children of a task any more; with a reason, they are canceled. */
  orphan(parent: Task, reason: unknown): void {
    const family = this.#parents.get(parent);
    if (family === undefined) return;
    this.#parents.delete(parent);
    parent.isParent = false;
    if (family.awaited.size > 0 && !parent.isSettled) this.#parts.resume(parent);
    if (reason === undefined) {
      for (const child of family.children) {
        this.#leave(child);
        if (child.definition.callKind === 'wait') {
          this.#parts.cancel(child, `task "${parent.name}", which called it, has ended`);
        }
      }
      return;
    }
    const message = `task "${parent.name}", which called it, has been ended`;
    const cause = new TaskwardenError('TASK_CANCELED', message, { taskId: parent.id, cause: reason });
    for (const child of family.children) this.#parts.cancel(child, cause);
  }
}
