/** One call of a background task: its definition, its arguments, and its options, of which only the priority can change. */
import type { Priority } from '../../queue/priority.ts';
import type { Definition } from '../definition/definition.ts';
import { TaskFlags } from '../record/task-flags.ts';
import type { TaskType } from '../record/task-type.ts';
import type { ResolvedTaskOptions, TaskSpec } from './task-options.ts';

const dropped: readonly unknown[] = Object.freeze([]);

export abstract class Call extends TaskFlags {
  spec: TaskSpec;
  /** Of a call with one argument, as most are, that alone: a list would take more than a third of the memory of a task. */
  #args: unknown;
  /** The number of the task among those of its supervisor. */
  readonly sequence: number;

  constructor(spec: TaskSpec, args: readonly unknown[], sequence: number) {
    super();
    this.spec = spec;
    this.hasOneArgument = args.length === 1;
    this.#args = args.length === 1 ? args[0] : args;
    this.sequence = sequence;
  }

  get args(): readonly unknown[] {
    return this.hasOneArgument ? [this.#args] : (this.#args as readonly unknown[]);
  }

  get hasArgs(): boolean {
    return this.#args !== dropped;
  }

  dropArgs(): void {
    this.hasOneArgument = false;
    this.#args = dropped;
  }

  get definition(): Definition {
    return this.spec.definition;
  }

  get options(): ResolvedTaskOptions {
    return this.spec.options;
  }

  get name(): string {
    return this.options.name ?? this.definition.name;
  }

  get isSubmittedAhead(): boolean {
    return this.spec.isSubmittedAhead === true;
  }

  get priority(): Priority {
    return this.options.priority;
  }

  get type(): TaskType {
    return this.options.type;
  }

  /** The name of its module. */
  get module(): string | undefined {
    return this.options.module?.name;
  }

  /** The name of the background worker whose run it is. */
  get worker(): string | undefined {
    return this.options.worker;
  }
}
