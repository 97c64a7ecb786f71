/**
 * Objects of the program whose methods threads and children can call. Each call is a task that the running task calls, on
 * the event loop with priority critical, so that no pool delays it. The result or error of the method is sent back. A
 * caller that waits lends its slot. A call of the kind `wait` ends with its caller at the latest.
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
  /** Weak, so that the program can drop the object. */
  readonly object: WeakRef<object>;
  /** The call site where it was made. */
  readonly site: string;
  isOneOfMany: boolean;
}

// Shared by all copies of the package in the program.
const objectsSymbol = Symbol.for('taskwarden.objects');
const holder = globalThis as { [objectsSymbol]?: Map<string, Exposed> };
holder[objectsSymbol] ??= new Map();
const objects: Map<string, Exposed> = holder[objectsSymbol];

export interface ObjectName {
  /** The name of its class. */
  readonly kind: string;
  /** Unique among its kind. If absent, the object is identified by its call site. */
  readonly name?: string | undefined;
  /** Where it is made, as `callSite` returns it: the same in the program and in its threads and children. */
  readonly site: string;
}

function keyOf({ kind, name, site }: ObjectName): string {
  return name === undefined ? `${kind} ${locationOf(site)}` : `${kind} "${name}"`;
}

/** The file and position of a call site: compilers, loaders and hot reloading change the query, and the words before it differ. */
function locationOf(site: string): string {
  const location = /((?:[a-z]+:)?\/.*?)(?:\?[^:)]*)?(:\d+:\d+)\)?$/.exec(site);
  if (location === null) return site;
  const [, file = '', position = ''] = location;
  return (file.startsWith('/') ? `file://${file}` : file) + position;
}

/**
 * Lets threads and children call the methods of an object, as long as the program holds it. Throws a TypeError if another
 * object of its kind has the name; but a module that is evaluated again replaces what it made.
 */
export function exposeObject(name: ObjectName, object: object): void {
  const key = keyOf(name);
  const taken = objects.get(key);
  const isTaken = taken?.object.deref() !== undefined;
  if (isTaken && name.name !== undefined && taken.site !== name.site) {
    throw new TypeError(
      `two of ${name.kind} have the name "${name.name}": one made ${taken.site}, another ${name.site}`,
    );
  }
  const isOneOfMany = name.name === undefined && isTaken;
  objects.set(key, { object: new WeakRef(object), site: name.site, isOneOfMany });
}

/** Ends that, and frees the name. */
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

/** Runs in the program. */
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
  /** The method waits for something: it is canceled when the caller has ended, and the caller lends its slot. */
  readonly waits?: boolean;
  /** The caller lends its slot; the method goes on after the caller has ended. Default: `waits`. */
  readonly lends?: boolean;
  /** Aborts `currentTask().signal` of the method. If that ends it, the call rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}

let idPrefix: string | undefined;
let sequence = 0;

/** Calls a method of an object of the program from the running task. The arguments have to be cloneable. */
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
 * Calls a generator method, and calls back with the values that it yields. The first value only says that it has begun: it
 * resolves the promise, with a function that ends the subscription. The subscription also ends with its caller.
 */
export function subscribeToProgram(
  name: ObjectName,
  method: string,
  args: readonly unknown[],
  onValue: (value: unknown) => void,
): Promise<() => void> {
  const run = currentRun();
  if (run === undefined) return foreverPendingPromise();
  return new Promise((resolve, reject) => {
    let isSubscribed = true;
    let hasBegun = false;
    const stop = () => {
      if (isSubscribed) command({ kind: 'cancel', reason: 'nobody is subscribed any more' });
      isSubscribed = false;
    };
    const command = submit(run, wait, name, method, args, (update) => {
      if (update.kind === 'started') {
        command({ kind: 'data', data: { topic: 'yield', message: { kind: 'unthrottled' } } }); // values are taken as they arrive
      } else if (update.kind === 'data' && update.data.topic === 'yield' && update.data.message.kind === 'data') {
        if (hasBegun && isSubscribed) onValue(update.data.message.value);
        hasBegun = true;
        resolve(stop);
      } else if (update.kind === 'ended') {
        isSubscribed = false;
        if (update.endReason === 'completed') resolve(stop);
        else reject(update.outcome);
      }
    });
  });
}

/** Submits the call, and returns a function that commands its task. Throws if the call can't be sent. */
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
    const message = `${label}() is called by left-over code of task "${run.name}", which has ended: await the call inside the task`;
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
    throw new TaskwardenError('ARGUMENT_NOT_CLONEABLE', `the arguments of ${label}() can't be copied: ${why}`, {
      cause,
    });
  }
  run.addChild(id, onUpdate);
  return (command) => {
    if (!run.hasEnded) run.post({ topic: 'child-command', id, command });
  };
}
