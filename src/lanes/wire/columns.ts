/**
 * The columns of a batch as they are sent: as short as possible, because a million tasks may be sent in a second. Arguments
 * that are objects are sent together with those of another task only if they are flat and not the same, because the
 * structured clone would let the tasks share them: else the column has `null`, and the arguments follow in a message of
 * their own.
 */
import { isFlat, isPrimitive } from './flat-value.ts';

/** The arguments of all items in a row, if all have the same number; otherwise a list for each. */
export type ArgsColumn =
  | { readonly arity: number; readonly values: readonly unknown[] }
  | readonly (readonly unknown[] | null)[];

/** The first of consecutive sequence numbers; otherwise, for each item, its sequence number or the id from its options. */
export type IdsColumn = number | readonly (number | string)[];

interface Sender {
  readonly args: readonly unknown[];
  readonly sequence: number;
  readonly options: { readonly taskId?: string; readonly delivery?: { readonly id: string } };
}

/** @param isApart Objects are sent apart unless they are flat, also those of a single task. */
export function packArgs(tasks: readonly Sender[], isApart: boolean = tasks.length > 1): ArgsColumn {
  if (!isApart) return tasks.map(({ args }) => args);
  const arity = tasks[0]?.args.length ?? 0;
  const packed = new Set<unknown>();
  const lists = tasks.map(({ args }) => (canJoin(args, packed) ? args : null));
  const values: unknown[] = [];
  for (const list of lists) {
    if (list?.length !== arity) return lists;
    for (const value of list) values.push(value);
  }
  return { arity, values };
}

/** The same without any objects: for some that seem flat, and can't be cloned. */
export function packPrimitives(tasks: readonly Sender[]): ArgsColumn {
  return tasks.map(({ args }) => (args.every(isPrimitive) ? args : null));
}

/** @param packed The objects of tasks before, to which those of this one are added. */
function canJoin(args: readonly unknown[], packed: Set<unknown>): boolean {
  if (args.every(isPrimitive)) return true;
  const objects = args.filter((value) => !isPrimitive(value));
  const areFlat = objects.every((value) => typeof value === 'object' && !packed.has(value) && isFlat(value as object));
  if (areFlat) for (const each of objects) packed.add(each);
  return areFlat;
}

/** The arguments of an item; null if they follow in a message. */
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

/** The id that the task shows, if it is not its sequence number: that of the courier's task, or from its options. */
function shownId({ options: { delivery, taskId } }: Sender): string | undefined {
  return delivery?.id ?? taskId;
}

export function unpackId(column: IdsColumn, item: number): number | string {
  return typeof column === 'number' ? column + item : (column[item] as number | string);
}
