/** A memory courier in a thread or child: it calls the courier server in the program. */
import { type ErrorCode, hasCode, TaskwardenError } from '../../base/errors.ts';
import { decodeThrown, encodeThrown, type WireThrown } from '../../lanes/wire/error-codec.ts';
import { callProgram, type ObjectName, subscribeToProgram } from '../../task/definition/program-object.ts';
import type {
  ClientWorkerTaskCourier,
  CourierTask,
  DeadLetter,
  ReturnErrorOptions,
  TaskCommand,
  TaskUpdate,
} from '../courier.ts';
import { deliver } from '../listeners.ts';
import type { ListedTask, QueueEvent } from '../queue-view.ts';

type Method = Exclude<keyof ClientWorkerTaskCourier, 'leaseMs' | 'timeAnswered' | 'onOutage'>;

/** Methods whose last argument is options with a signal, and whether they wait. */
const signaled: ReadonlyMap<string, boolean> = new Map([
  ['addTaskToQueue', false],
  ['bulkAddTasksToQueue', false],
  ['waitForTaskResult', true],
  ['waitForTask', true],
  ['bulkWaitForTasks', true],
]);

/** The error code for a value that can't be copied, where that is not the data of a task. */
const notCloneable: ReadonlyMap<string, ErrorCode> = new Map([
  ['returnTaskResult', 'RESULT_NOT_CLONEABLE'],
  ['bulkReturnTaskResults', 'RESULT_NOT_CLONEABLE'],
  ['sendToTask', 'MESSAGE_NOT_CLONEABLE'],
  ['sendToClient', 'MESSAGE_NOT_CLONEABLE'],
]);

/** A courier that sends its calls to the one with that name in the program. */
export function courierProxy(name: ObjectName, leaseMs: number): ClientWorkerTaskCourier {
  const call = (method: Method, args: readonly unknown[]) => callServer(name, method, args);
  const special = {
    leaseMs,
    timeAnswered: undefined,
    onOutage: undefined,
    returnTaskError: (queue: string, task: CourierTask, error: unknown, options?: ReturnErrorOptions) =>
      call('returnTaskError', [queue, task, encodeThrown(error), options]),
    getDeadLetters: async (...args: unknown[]) => {
      const letters = (await call('getDeadLetters', args)) as readonly DeadLetter[];
      return letters.map((letter) => ({ ...letter, error: decodeThrown(letter.error as WireThrown) }));
    },
    listTasks: async (...args: unknown[]) => {
      const tasks = (await call('listTasks', args)) as readonly ListedTask[];
      return tasks.map((task) => ('error' in task ? { ...task, error: decodeThrown(task.error as WireThrown) } : task));
    },
    cancelTask: (queue: string, id: string, reason: unknown) => call('cancelTask', [queue, id, encodeThrown(reason)]),
    subscribe: (queue: string, listener: (event: QueueEvent) => void) =>
      subscribe(name, 'subscribe', [queue], listener),
    subscribeToTask: (queue: string, id: string, listener: (update: TaskUpdate) => void) =>
      subscribe(name, 'subscribeToTask', [queue, id], listener),
    subscribeToClient: (queue: string, task: CourierTask, listener: (command: TaskCommand) => void) =>
      subscribe<TaskCommand & { readonly thrown?: WireThrown }>(name, 'subscribeToClient', [queue, task], (command) => {
        listener(command.thrown === undefined ? command : { kind: 'cancel', reason: decodeThrown(command.thrown) });
      }),
  };
  return new Proxy(special, {
    get: (target, method) =>
      method in target ? Reflect.get(target, method) : (...args: readonly unknown[]) => call(method as Method, args),
  }) as unknown as ClientWorkerTaskCourier;
}

async function callServer(name: ObjectName, method: Method, args: readonly unknown[]): Promise<unknown> {
  const waits = signaled.get(method);
  try {
    if (waits === undefined) return await callProgram(name, method, args);
    const { signal, ...plain } = args.at(-1) as { readonly signal?: AbortSignal; readonly wait?: boolean };
    const lends = waits || plain.wait === true; // for room in the queue
    return await callProgram(name, method, [...args.slice(0, -1), plain], { waits, lends, signal });
  } catch (error) {
    const code = notCloneable.get(method);
    if (code === undefined || !hasCode(error, 'ARGUMENT_NOT_CLONEABLE')) throw error;
    throw new TaskwardenError(code, error.message, { cause: error.cause });
  }
}

/** The server sends batches; the listener is called for each item. */
async function subscribe<T>(
  name: ObjectName,
  method: string,
  args: readonly unknown[],
  receive: (what: T) => void,
): Promise<() => void> {
  let isHeard = true;
  const stop = await subscribeToProgram(name, method, args, (batch) => {
    for (const what of batch as readonly T[]) if (isHeard) deliver({ receive }, what);
  });
  return () => {
    isHeard = false;
    stop();
  };
}
