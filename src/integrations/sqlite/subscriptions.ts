/**
 * The listeners of this program: to queues, to tasks, and those of workers to the commands for the tasks that they hold. The
 * thread tells what has come; whatever a listener throws is printed, and stops nothing.
 */
import { type CourierTask, courierKit, type QueueEvent, type TaskCommand, type TaskUpdate } from '../../index.ts';
import type { Notice, StoredCommand } from './protocol.ts';
import { commandOf, eventOf, fromText } from './values.ts';

const { callSafely } = courierKit;

type Listener<T> = (what: T) => void;

/** A task that a worker of this program holds, and listens for. */
interface HeldTask {
  readonly queue: string;
  readonly id: string;
  /** All commands that have come, so that a later listener gets them, too. */
  readonly commands: StoredCommand[];
  readonly listeners: Set<Listener<TaskCommand>>;
  /** How many listeners are being added. */
  expected: number;
}

export interface Expected {
  /** Delivers all commands, those up to now included. Returns a function that removes it, and says whether it was the last. */
  readonly add: (commands: readonly StoredCommand[], listener: Listener<TaskCommand>) => () => boolean;
  /** It is not added. */
  readonly drop: () => void;
}

export class Subscriptions {
  readonly queues: Map<string, Set<Listener<QueueEvent>>> = new Map();
  /** By queue and id. */
  readonly #tasks = new Map<string, Map<string, Set<Listener<TaskUpdate>>>>();
  readonly #held = new Map<string, HeldTask>();

  /** Those of tasks: how many listeners each has. */
  get tasks(): { readonly queue: string; readonly id: string; readonly count: number }[] {
    return [...this.#tasks].flatMap(([queue, ids]) => [...ids].map(([id, { size: count }]) => ({ queue, id, count })));
  }

  /** Returns a function that removes it, and says whether it was there. */
  addToQueue(queue: string, listener: Listener<QueueEvent>): () => boolean {
    return add(this.queues, queue, listener);
  }

  addToTask(queue: string, id: string, listener: Listener<TaskUpdate>): () => boolean {
    const ids = this.#tasks.get(queue) ?? new Map<string, Set<Listener<TaskUpdate>>>();
    this.#tasks.set(queue, ids);
    const remove = add(ids, id, listener);
    return () => {
      const isRemoved = remove();
      if (ids.size === 0 && this.#tasks.get(queue) === ids) this.#tasks.delete(queue);
      return isRemoved;
    };
  }

  /** To be called before the commands to a task are asked for: later ones may come before the answer is seen. */
  expect(queue: string, { id, lease }: CourierTask): Expected {
    const held = this.#held.get(lease) ?? { queue, id, commands: [], listeners: new Set(), expected: 0 };
    this.#held.set(lease, held);
    held.expected += 1;
    const leave = () => {
      held.expected -= 1;
      return this.#forgetUnused(lease, held);
    };
    return {
      add: (commands, listener) => {
        for (const command of commands) receive(held, command);
        for (const command of held.commands) deliver(listener, commandOf(command, queue, id) as TaskCommand);
        const own: Listener<TaskCommand> = (command) => listener(command);
        if (!isOver(held)) held.listeners.add(own);
        leave();
        return () => held.listeners.delete(own) && this.#forgetUnused(lease, held);
      },
      drop: leave,
    };
  }

  /** Whether nobody listens to it any more. */
  #forgetUnused(lease: string, held: HeldTask): boolean {
    if (held.listeners.size + held.expected > 0 || this.#held.get(lease) !== held) return false;
    return this.#held.delete(lease);
  }

  /** Its worker does not hold the task any more. Whether somebody listened. */
  release(lease: string): boolean {
    return this.#held.delete(lease);
  }

  onNotice(notice: Notice): void {
    switch (notice.kind) {
      case 'event':
        publish(this.queues.get(notice.queue), eventOf(notice.queue, notice.event));
        break;
      case 'missed':
        publish(this.queues.get(notice.queue), { kind: 'missed', queue: notice.queue, time: Date.now() });
        break;
      case 'update':
        publish(this.#tasks.get(notice.queue)?.get(notice.id), fromText(notice.update));
        break;
      case 'ended':
        this.#tasks.get(notice.queue)?.delete(notice.id);
        break;
      case 'command':
        this.#onCommand(notice.lease, notice.command);
        break;
    }
  }

  #onCommand(lease: string, command: StoredCommand): void {
    const held = this.#held.get(lease);
    if (held === undefined) return;
    receive(held, command);
    if (isOver(held)) held.listeners.clear();
    this.#forgetUnused(lease, held);
  }

  close(): void {
    this.queues.clear();
    this.#tasks.clear();
    this.#held.clear();
  }
}

/** Those that are known already are left out. */
function receive(held: HeldTask, command: StoredCommand): void {
  if (command.number <= (held.commands.at(-1)?.number ?? 0)) return;
  held.commands.push(command);
  publish(held.listeners, commandOf(command, held.queue, held.id));
}

function isOver({ commands }: HeldTask): boolean {
  return commands.at(-1)?.number === Infinity;
}

/** A listener may be added more than once. */
function add<K, T>(all: Map<K, Set<Listener<T>>>, key: K, listener: Listener<T>): () => boolean {
  const listeners = all.get(key) ?? new Set();
  all.set(key, listeners);
  const own: Listener<T> = (what) => listener(what);
  listeners.add(own);
  return () => {
    const isRemoved = all.get(key) === listeners && listeners.delete(own);
    if (listeners.size === 0 && all.get(key) === listeners) all.delete(key);
    return isRemoved;
  };
}

function publish<T>(listeners: ReadonlySet<Listener<T>> | undefined, what: unknown): void {
  for (const listener of [...(listeners ?? [])]) deliver(listener, what as T);
}

function deliver<T>(listener: Listener<T>, what: T): void {
  callSafely(listener, what, (problem) => console.error('SqliteTaskCourier: a listener failed:', problem));
}
