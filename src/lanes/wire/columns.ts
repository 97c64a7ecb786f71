/**
 * The columns of a batch as they cross: short where they can be, since a million tasks may cross in a second.
 * An object never crosses with those of another task, for the structured clone would make the tasks share it: where a
 * column has `null`, the arguments follow in a message of their own.
 */

/** As many arguments for each item, one behind the other; or a list for each. */
export type ArgsColumn =
  | { readonly arity: number; readonly values: readonly unknown[] }
  | readonly (readonly unknown[] | null)[];

/** The first of sequence numbers that follow each other; or a sequence number for each, or the id that it was given. */
export type IdsColumn = number | readonly (number | string)[];

interface Sender {
  readonly args: readonly unknown[];
  readonly sequence: number;
  readonly options: { readonly taskId?: string; readonly delivery?: { readonly id: string } };
}

export function packArgs(tasks: readonly Sender[]): ArgsColumn {
  if (tasks.length === 1) return tasks.map(({ args }) => args);
  const arity = tasks[0]?.args.length ?? 0;
  const values: unknown[] = [];
  for (const { args } of tasks) {
    if (args.length !== arity || !args.every(isPrimitive)) {
      return tasks.map((task) => (task.args.every(isPrimitive) ? task.args : null));
    }
    for (const value of args) values.push(value);
  }
  return { arity, values };
}

/** null: they follow. */
export function unpackArgs(column: ArgsColumn, item: number): readonly unknown[] | null {
  if (!('arity' in column)) return column[item] ?? null;
  const { arity, values } = column;
  return values.slice(item * arity, (item + 1) * arity);
}

export function packIds(tasks: readonly Sender[]): IdsColumn {
  const first = tasks[0]?.sequence ?? 0;
  const isPlain = (task: Sender, item: number) => task.sequence === first + item && shownId(task) === undefined;
  return tasks.every(isPlain) ? first : tasks.map((task) => shownId(task) ?? task.sequence);
}

/** The id that it was given; of one that performs a courier's task, the id of that. */
function shownId({ options: { delivery, taskId } }: Sender): string | undefined {
  return delivery?.id ?? taskId;
}

export function unpackId(column: IdsColumn, item: number): number | string {
  return typeof column === 'number' ? column + item : (column[item] as number | string);
}

function isPrimitive(value: unknown): boolean {
  return (typeof value !== 'object' && typeof value !== 'function' && typeof value !== 'symbol') || value === null;
}
