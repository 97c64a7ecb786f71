/**
 * A definition says how a task function is named and found again on the other side: by its module and name, by an
 * export of a module that knows nothing of taskwarden, or by its source.
 */

/**
 * Any function. There are two signatures, so that TypeScript takes none of them for the types of a function given in place
 * (as `F & TaskFunction`): it infers no `any`, so that each parameter needs its type, or a default that has one.
 */
export interface TaskFunction {
  // biome-ignore lint/suspicious/noExplicitAny: a task takes and returns what its author likes.
  (...args: any[]): unknown;
  // biome-ignore lint/suspicious/noExplicitAny: the same.
  <_>(...args: any[]): unknown;
}

/** What crosses to a thread, once, so that it finds the function. */
export interface WireDefinition {
  /** Unique among the definitions of this process; on the other side the function is kept under it. */
  readonly index: number;
  readonly name: string;
  /** The URL of the module that holds the function; absent where the source travels. */
  readonly moduleUrl?: string;
  /** The name of the export that is the function; absent where the module registers it. */
  readonly exportName?: string;
  readonly source?: string;
  /** The function gets its TaskContext before its arguments. */
  readonly passesContext?: boolean;
  /** Before all others comes an argument that is not for the function: what `currentTask().context` is to be. */
  readonly takesWorkerContext?: boolean;
}

export interface Definition extends WireDefinition {
  /** The function itself, where this side has it: for the event loop. */
  readonly fn?: TaskFunction;
  /** What `this` is in the function: the class, for a decorated static method. */
  receiver?: unknown;
  /** Its tasks are calls from threads and children, who hear of failures; a `wait` is canceled when its caller has ended. */
  callKind?: 'call' | 'wait';
}

/** The definition as it crosses. */
export function wireDefinition({
  index,
  name,
  moduleUrl,
  exportName,
  source,
  passesContext,
  takesWorkerContext,
}: Definition): WireDefinition {
  return {
    index,
    name,
    ...(moduleUrl !== undefined && { moduleUrl }),
    ...(exportName !== undefined && { exportName }),
    ...(source !== undefined && { source }),
    ...(passesContext && { passesContext }),
    ...(takesWorkerContext && { takesWorkerContext }),
  };
}
