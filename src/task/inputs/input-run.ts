/**
 * The run of an input of a chunk, as its function sees it by `currentTask()`. Whatever reaches the supervisor goes through
 * the run of the chunk. Nobody reads the messages and the progress of an input.
 */
import { Promise } from '../../platform/globals.ts';
import type { TaskSubmitter } from '../call/task-options.ts';
import type { RunningTask } from '../inside/context.ts';
import { Run } from '../inside/run.ts';
import type { CarriedContext, ChildUpdate, TaskMessage } from '../inside/task-message.ts';
import { type ChunkHeader, type Input, inputId } from './chunk.ts';

const noInput: Input = Object.freeze([]);

export class InputRun extends Run {
  readonly attempt = 1;
  readonly #chunk: RunningTask;
  readonly #header: ChunkHeader;
  #index = 0;

  constructor(chunk: RunningTask, header: ChunkHeader) {
    super(noInput);
    this.#chunk = chunk;
    this.#header = header;
  }

  /** No attempt follows. */
  override async keepWork(): Promise<void> {}

  /** Inputs whose function returns no promise share a run, because nothing of one is left when the next begins. */
  begin(index: number, input: Input): void {
    this.#index = index;
    this.args = input;
    this.forgetSteps();
  }

  get id(): string {
    return inputId(this.#header.bulkId, this.#header.first + this.#index);
  }

  get name(): string {
    return this.#chunk.name;
  }

  get task(): unknown {
    return this.#chunk.task;
  }

  get submitter(): TaskSubmitter | undefined {
    return this.#chunk.submitter;
  }

  captureContext(): CarriedContext | undefined {
    return this.#chunk.captureContext?.();
  }

  protected isStopRequested(): boolean {
    return this.#chunk.stopped;
  }

  protected report(): void {}

  override send(): Promise<boolean> {
    return Promise.resolve(!this.hasEnded);
  }

  post(message: TaskMessage): void {
    this.#chunk.post(message);
  }

  poll(timeoutMs: number): boolean {
    return this.#chunk.poll(timeoutMs);
  }

  override hasChild(id: string): boolean {
    return this.#chunk.hasChild(id);
  }

  override addChild(id: string, onUpdate: (update: ChildUpdate) => void): void {
    this.#chunk.addChild(id, onUpdate);
  }
}
