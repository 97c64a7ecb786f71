/**
 * A definition tells how a task function is named, and how a thread or child finds it: by its module and name, by an export
 * of a module that does not use taskwarden, or by its source.
 */

/**
 * Any function. With two signatures TypeScript takes the parameter types of an inline function from neither of them (as
 * `F & TaskFunction`). So it infers no `any`: each parameter needs a type, or a default that has one.
 */
export interface TaskFunction {
  // biome-ignore lint/suspicious/noExplicitAny: a task takes and returns what its author likes.
  (...args: any[]): unknown;
  // biome-ignore lint/suspicious/noExplicitAny: the same.
  <_>(...args: any[]): unknown;
}

/** What is sent once to a thread or child so that it finds the function. */
export interface WireDefinition {
  /** Unique among the definitions of this process. The other side keeps the function under it. */
  readonly index: number;
  readonly name: string;
  /** The URL of the module that holds the function; absent if the source is sent. */
  readonly moduleUrl?: string;
  /** The name of the export that is the function; absent if the module registers it. */
  readonly exportName?: string;
  readonly source?: string;
  /** The function gets its TaskContext before its arguments. */
  readonly passesContext?: boolean;
  /** The first argument is not for the function: it becomes `currentTask().context`. */
  readonly takesWorkerContext?: boolean;
  /** The function is called for each input of a chunk, which is the argument. */
  readonly takesChunk?: boolean;
}

export interface Definition extends WireDefinition {
  /** The function itself, if it is in this thread: for the event loop. */
  readonly fn?: TaskFunction;
  /** The `this` of the function: the class, for a decorated static method. */
  receiver?: unknown;
  /** Its tasks are calls from threads and children, which get the failures; a `wait` is canceled when its caller has ended. */
  callKind?: 'call' | 'wait';
}

/** The part of a definition that is sent. */
export function wireDefinition({
  index,
  name,
  moduleUrl,
  exportName,
  source,
  passesContext,
  takesWorkerContext,
  takesChunk,
}: Definition): WireDefinition {
  return {
    index,
    name,
    ...(moduleUrl !== undefined && { moduleUrl }),
    ...(exportName !== undefined && { exportName }),
    ...(source !== undefined && { source }),
    ...(passesContext && { passesContext }),
    ...(takesWorkerContext && { takesWorkerContext }),
    ...(takesChunk && { takesChunk }),
  };
}
