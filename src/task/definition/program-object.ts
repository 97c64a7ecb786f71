/**
 * Objects of the program whose methods threads and children can call. A call travels as a task that the running task
 * calls: on the event loop, critical, so that no pool holds it up; what the method gives or throws travels back.
 * A caller that waits lends its slot; a wait whose outcome is for nobody else ends with the caller at the latest.
 */
import { TaskwardenError } from '../../base/errors.ts';
import { messageOf } from '../../base/foreign-value.ts';
import { Promise } from '../../platform/globals.ts';
import { onAbort } from '../../platform/on-abort.ts';
import { currentRun, type RunningTask } from '../inside/context.ts';
import type { ChildCommandMessage, ChildUpdate } from '../inside/task-message.ts';
import { newIdPrefix, taskId } from '../record/task-id.ts';
import { type Definition, type TaskFunction, wireDefinition } from './definition.ts';
import { defineInModule } from './definition-registry.ts';
import { foreverPendingPromise } from './load-phase.ts';

interface Exposed {
  /** The program can forget it. */
  readonly object: WeakRef<object>;
  readonly place: string;
  isOneOfMany: boolean;
}

// One for all copies of the package in the program.
const objectsSymbol = Symbol.for('taskwarden.objects');
const holder = globalThis as { [objectsSymbol]?: Map<string, Exposed> };
holder[objectsSymbol] ??= new Map();
const objects: Map<string, Exposed> = holder[objectsSymbol];

export interface ObjectName {
  /** What it is, in one word: the name of its class. */
  readonly kind: string;
  /** Unique among its kind; else it is known by its place. */
  readonly name?: string | undefined;
  /** Where it is made, as `callSite` gives it: the same here and there. */
  readonly place: string;
}

function keyOf({ kind, name, place }: ObjectName): string {
  return name === undefined ? `${kind} ${locationOf(place)}` : `${kind} "${name}"`;
}

/** Compilers, loaders and hot reloading add to the URL, and the words before it differ. */
function locationOf(place: string): string {
  const location = /((?:[a-z]+:)?\/.*?)(?:\?[^:)]*)?(:\d+:\d+)\)?$/.exec(place);
  if (location === null) return place;
  const [, file = '', position = ''] = location;
  return (file.startsWith('/') ? `file://${file}` : file) + position;
}

/**
 * Lets threads and children call its methods, while the program holds it. Throws a TypeError if another of the kind has
 * the name; but a module that is evaluated anew replaces what it made.
 */
export function exposeObject(name: ObjectName, object: object): void {
  const key = keyOf(name);
  const taken = objects.get(key);
  const isTaken = taken?.object.deref() !== undefined;
  if (isTaken && name.name !== undefined && taken.place !== name.place) {
    throw new TypeError(
      `two of ${name.kind} have the name "${name.name}": one made ${taken.place}, another ${name.place}`,
    );
  }
  const isOneOfMany = name.name === undefined && isTaken;
  objects.set(key, { object: new WeakRef(object), place: name.place, isOneOfMany });
}

/** Gives the name back. */
export function unexposeObject(name: ObjectName, object: object): void {
  const key = keyOf(name);
  if (objects.get(key)?.object.deref() === object) objects.delete(key);
}

function findObject(key: string): Record<string, TaskFunction> {
  const found = objects.get(key);
  const object = found?.object.deref() as Record<string, TaskFunction> | undefined;
  if (object === undefined) {
    const message = `the program has made no ${key}: a thread or child uses it, and finds it by its name, or by the`;
    throw new TaskwardenError('OBJECT_NOT_FOUND', `${message} place in the code where it is made; give it a "name"`);
  }
  if (found?.isOneOfMany) {
    const message = `the program has made more than one ${key}, and a thread or child can't tell them apart`;
    throw new TaskwardenError('OBJECT_NOT_FOUND', `${message}; give each a "name"`);
  }
  return object;
}

/** In the program. */
function callObject(key: string, method: string, ...args: unknown[]): unknown {
  const object = findObject(key);
  return (object[method] as TaskFunction).apply(object, args);
}

const moduleUrl = 'taskwarden:objects';
const call: Definition = defineInModule(moduleUrl, 'call', callObject, 'in taskwarden');
const wait: Definition = defineInModule(moduleUrl, 'wait', callObject, 'in taskwarden');
call.callKind = 'call';
wait.callKind = 'wait';

export interface ProgramCallOptions {
  /** The method waits for something: it is given up when the caller has ended, and its caller lends its slot. */
  readonly waits?: boolean;
  /** The caller lends its slot; the method goes on without it. */
  readonly lends?: boolean;
  /** Aborts `currentTask().signal` of the method. If that ends it, the call rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}

let idPrefix: string | undefined;
let sequence = 0;

/** Calls a method of an object of the program, from the task that runs here. What it is given has to be cloneable. */
export function callProgram(
  name: ObjectName,
  method: string,
  args: readonly unknown[],
  { waits = false, lends = waits, signal }: ProgramCallOptions = {},
): Promise<unknown> {
  const run = currentRun();
  if (run === undefined) return foreverPendingPromise();
  return new Promise((resolve, reject) => {
    signal?.throwIfAborted();
    let unlisten: (() => void) | undefined;
    const command = submit(run, waits ? wait : call, name, method, args, (update) => {
      if (update.kind !== 'ended') return;
      unlisten?.();
      if (update.endReason === 'completed') resolve(update.outcome);
      else reject(update.endReason === 'canceled' && signal?.aborted ? signal.reason : update.outcome);
    });
    if (lends) command({ kind: 'await' });
    if (signal !== undefined) unlisten = onAbort(signal, () => command({ kind: 'cancel', reason: signal.reason }));
  });
}

/**
 * Calls a generator method, and hears what it yields, from the second value on: the first says that it has begun, and
 * resolves the promise. Ends it when what that gives is called, and with the caller.
 */
export function subscribeToProgram(
  name: ObjectName,
  method: string,
  args: readonly unknown[],
  onUpdate: (value: unknown) => void,
): Promise<() => void> {
  const run = currentRun();
  if (run === undefined) return foreverPendingPromise();
  return new Promise((resolve, reject) => {
    let isHeard = true;
    let hasBegun = false;
    const stop = () => {
      if (isHeard) command({ kind: 'cancel', reason: 'nobody listens any more' });
      isHeard = false;
    };
    const command = submit(run, wait, name, method, args, (update) => {
      if (update.kind === 'started') {
        command({ kind: 'data', data: { topic: 'yield', message: { kind: 'unthrottled' } } }); // it is heard at once
      } else if (update.kind === 'data' && update.data.topic === 'yield' && update.data.message.kind === 'data') {
        if (hasBegun && isHeard) onUpdate(update.data.message.value);
        hasBegun = true;
        resolve(stop);
      } else if (update.kind === 'ended') {
        isHeard = false;
        if (update.endReason === 'completed') resolve(stop);
        else reject(update.outcome);
      }
    });
  });
}

/** Gives what orders the task; throws if it can't be called. */
function submit(
  run: RunningTask,
  definition: Definition,
  name: ObjectName,
  method: string,
  args: readonly unknown[],
  onUpdate: (update: ChildUpdate) => void,
): (command: ChildCommandMessage['command']) => void {
  const label = `${name.kind}.${method}`;
  if (run.hasEnded) {
    const message = `${label}() is called by what is left of task "${run.name}", which has ended: await it there`;
    throw new TaskwardenError('NOT_IN_TASK', message, { taskId: run.id });
  }
  idPrefix ??= newIdPrefix();
  sequence += 1;
  const id = taskId(idPrefix, sequence);
  try {
    const options = { type: 'loop', priority: 'critical', name: label } as const;
    run.post({
      topic: 'submit',
      id,
      definition: wireDefinition(definition),
      options,
      args: [keyOf(name), method, ...args],
    });
  } catch (cause) {
    const why = messageOf(cause);
    throw new TaskwardenError('ARGUMENT_NOT_CLONEABLE', `what is given to ${label}() can't be copied: ${why}`, {
      cause,
    });
  }
  run.addChild(id, onUpdate);
  return (command) => {
    if (!run.hasEnded) run.post({ topic: 'child-command', id, command });
  };
}
