/**
 * TaskwardenError: the class of all errors that taskwarden itself throws or rejects with, apart from bad options
 * (TypeError, RangeError). `code` is stable; messages may change.
 */
import { fieldOf } from './foreign-value.ts';

/** Every code with what it says; the table of docs/reference/errors.md is tested against it. */
export const errorCodes = {
  TASK_CANCELED: 'The task was canceled: by `cancel()`, by its `signal`, or by the stop of its supervisor.',
  TASK_TIMEOUT: 'The task ran longer than its `timeoutMs`, or did not end within its `deadlineMs`.',
  TASK_EXPIRED: 'The task waited longer than its `queueTimeoutMs` or `deadlineMs`; it never ran.',
  TASK_CRASHED:
    'The thread or child died under the task: exit, signal, uncaught exception, unhandled rejection or out of memory.',
  TASK_FAILED_REMOTELY:
    'The task was run by a program in another language, and failed there; `remote` has its type, message and traceback.',
  INPUT_FAILED: 'An input of an `all()` threw what takes no fields, such as a text; `cause` is what it threw.',
  TASK_NOT_DEFINED: 'The module was loaded where the task is to run, but the task is not in it.',
  TASK_UNREACHABLE: 'The module waits for its own tasks before it defines this one.',
  MODULE_LOAD_FAILED: 'The task module could not be imported where the task is to run; `cause` says why.',
  LANE_SETUP_FAILED: 'What the module gave `laneSetup()` to do before its tasks has failed; `cause` says why.',
  ARGUMENT_NOT_CLONEABLE: 'An argument cannot be copied to a thread or child, or not be read there.',
  RESULT_NOT_CLONEABLE: 'The result cannot be copied back from the thread or child, or not be read.',
  MESSAGE_NOT_CLONEABLE: 'What was sent to a task, or by it, cannot be copied, or not be read there.',
  DUPLICATE_STEP: 'The task has done a step of this name already, in the same attempt.',
  WORK_TOO_LARGE: 'The steps of a task, and its checkpoint, would keep more than 1 MiB.',
  TASK_TOO_DEEP: 'More than `maxDepth` tasks have called one another, down to this one; it never ran.',
  DUPLICATE_TASK_ID: 'A live task has this `taskId` already.',
  LIMITS_REPLACED:
    'A worker has set limits of its queue, which had others; those of the worker that was started last hold.',
  TASK_EXISTS: 'A task of this definition and `key` exists already, and `unique` allows one; `taskId` is its id.',
  TASK_REPLACED: 'The task waited, and another one of its definition and `key` has replaced it, as `unique` says.',
  DUPLICATE_TASK_NAME: 'Two tasks are registered under one module and name.',
  KEY_FAILED: 'The function `key` of the task threw, or gave no string; `cause` is what it threw.',
  QUEUE_FULL: 'More than `maxQueued` tasks would wait.',
  LANE_BROKEN: 'Threads or children die as they start; `cause` says of what.',
  SUPERVISOR_STOPPED: 'The supervisor is stopping or stopped.',
  TASK_STOPPED: 'The reason of `currentTask().signal` when `handle.stop()` has asked the task to finish.',
  WOULD_BLOCK: '`recvSync()` was to wait on the event loop, where nothing can come meanwhile.',
  TASK_NOT_FOUND: 'The queue or the supervisor knows no task of that id: it was never added, or was forgotten since.',
  TASK_NOT_ENDED: 'The task has not ended, and so `retryTask()` can not run it again.',
  ARGUMENTS_MISSING:
    'The arguments of the task are not kept, and so `retryTask()` can not run it again; the message says why.',
  RESULT_NOT_READY: 'The task has not ended; `waitForTaskResult()` waits for it.',
  RESULT_TIMEOUT: 'The result did not come within `timeoutMs`; the task goes on.',
  LEASE_LOST: 'The worker held the task for longer than its lease without extending it; what it returns is refused.',
  TASK_STALLED: 'Too many workers that had the task lost their lease: they died, or hung.',
  COURIER_CLOSED: 'The courier was closed.',
  COURIER_UNREACHABLE:
    "The courier's server can't be reached, or can't do what it is asked now: it is out of memory, or has a lock; `cause` says why.",
  DATABASE_UNUSABLE:
    'The file of a `SqliteTaskCourier` can not be used, and waiting does not help; the message says why.',
  SERVER_REFUSED:
    'The server of a courier or controller refuses what it is asked, or is not asked again; the message says why.',
  ALREADY_PERFORMING: 'The courier worker performs already: `perform()` runs once at a time.',
  RESULT_MISSING: '`performTasks()` of a courier worker gave no result for the task.',
  TASK_MALFORMED:
    'A task from a courier can not be read, or its data is not what a `ClassicWorker` takes: `{ function: name, args }`.',
  FUNCTION_NOT_ALLOWED: 'A task from a courier asks for a function that is not in the allow-list of the worker.',
  MODULE_CLOSED: 'The module of the task was closed.',
  DUPLICATE_MODULE_NAME: 'The supervisor has a module of that name already.',
  OBJECT_NOT_FOUND:
    'A thread or child uses a courier that the program has not made, or can not tell from others: name it.',
  PEER_MISSING:
    'A part of taskwarden needs a package that is not installed, or another version of it; the message names both.',
  NOT_IN_PROGRAM: 'A task in a thread or child asked for what only the program itself can do.',
  NOT_IN_TASK: '`currentTask()` was called outside a task; or a thread or child called a task for one that had ended.',
} as const;

/** A stable name for each way taskwarden fails. */
export type ErrorCode = keyof typeof errorCodes;

/** An error of a program in another language. */
export interface RemoteError {
  /** The name of its class. */
  readonly type: string;
  /** Where the class is defined. */
  readonly module: string;
  readonly message: string;
  /** What the class was made with, as JSON. */
  readonly args: readonly unknown[];
  readonly traceback: string | undefined;
}

/** Facts about a failure, each present where it is known. */
export interface ErrorFacts {
  readonly taskId?: string;
  readonly timeoutMs?: number;
  /** Of the thread or child that died under the task. */
  readonly exitCode?: number;
  /** The signal that ended the child under the task. */
  readonly signal?: NodeJS.Signals;
  /** What the program that ran the task threw. */
  readonly remote?: RemoteError;
  /** Of the input of an `all()` that has failed. */
  readonly index?: number;
  /** The arguments of that input. */
  readonly input?: unknown;
}

// A thread has its own copy of the package, and a module in it may import another one: each copy knows the errors of all.
const errorSymbol = Symbol.for('taskwarden.error');

/** An error of taskwarden itself. `code` says which. */
export class TaskwardenError extends Error {
  static {
    Object.defineProperty(TaskwardenError.prototype, 'name', {
      value: 'TaskwardenError',
      configurable: true,
      writable: true,
    });
    Object.defineProperty(TaskwardenError.prototype, errorSymbol, { value: true });
    Object.defineProperty(TaskwardenError, Symbol.hasInstance, {
      value(this: unknown, value: unknown): boolean {
        if (this !== TaskwardenError) return Function.prototype[Symbol.hasInstance].call(this, value); // it is extended
        return fieldOf(value, errorSymbol) === true;
      },
    });
  }
  readonly code: ErrorCode;
  declare readonly taskId?: string;
  declare readonly timeoutMs?: number;
  declare readonly exitCode?: number;
  declare readonly signal?: NodeJS.Signals;
  declare readonly remote?: RemoteError;
  declare readonly index?: number;
  declare readonly input?: unknown;

  constructor(code: ErrorCode, message: string, facts?: ErrorFacts & { readonly cause?: unknown }) {
    const { cause, ...rest } = facts ?? {};
    super(message, facts !== undefined && 'cause' in facts ? { cause } : undefined);
    this.code = code;
    Object.assign(this, rest);
  }
}

/** Whether it is an error of taskwarden with one of these codes. Never throws. */
export function hasCode(error: unknown, ...codes: readonly ErrorCode[]): error is TaskwardenError {
  return error instanceof TaskwardenError && codes.includes(fieldOf(error, 'code') as ErrorCode);
}
