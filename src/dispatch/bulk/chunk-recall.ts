/**
 * Takes inputs back that wait in a chunk behind one that runs for much longer than was estimated, as one does that waits for
 * something, maybe for one of them. They run elsewhere, and the chunk ends with the input that runs.
 */
import { now } from '../../platform/clock.ts';
import { clearTimeout, setTimeout } from '../../platform/globals.ts';
import type { InputRange } from '../../task/inputs/input-queue.ts';
import type { Task } from '../../task/record/task.ts';
import type { Part } from './part.ts';

/** Inputs are recalled from a chunk that has run for so many times as long as a chunk should. */
const patience = 2;

interface ChunkRecallParts {
  readonly parts: ReadonlyMap<Task, Part>;
  readonly chunkMs: number;
  /** Asks a chunk that shares no memory. `onRecalled` follows, unless it ends before. */
  readonly ask: (part: Task) => void;
  /** These never begin in their chunk, which has run for so long. */
  readonly giveBack: (range: InputRange, begun: number, runMs: number) => void;
}

export class ChunkRecall {
  readonly #parts: ChunkRecallParts;
  readonly #afterMs: number;
  #timer: NodeJS.Timeout | undefined;

  constructor(parts: ChunkRecallParts) {
    this.#parts = parts;
    this.#afterMs = patience * parts.chunkMs;
  }

  /** A part has started. */
  watch(task: Task): void {
    const part = this.#parts.parts.get(task);
    if (!part?.isChunk) return;
    part.startedAt = now();
    this.#watch();
  }

  #watch(): void {
    this.#timer ??= setTimeout(() => this.#check(), this.#afterMs).unref();
  }

  unwatch(): void {
    clearTimeout(this.#timer);
  }

  #check(): void {
    this.#timer = undefined;
    for (const part of [...this.#parts.parts.values()]) {
      if (part.startedAt === undefined || part.isRecalled) continue;
      if (part.begun > 0 && now() - part.startedAt >= this.#afterMs) this.#recall(part);
      else this.#watch();
    }
  }

  #recall(part: Part): void {
    part.isRecalled = true;
    if (part.block === undefined) this.#parts.ask(part.task);
    else this.#giveBack(part, part.block.recall());
  }

  /** A chunk has answered that no more inputs of it begin than have begun. */
  onRecalled(task: Task, begun: number): void {
    const part = this.#parts.parts.get(task);
    if (part?.isRecalled && Number.isInteger(begun) && begun >= part.begun) this.#giveBack(part, begun);
  }

  #giveBack(part: Part, begun: number): void {
    const rest = part.cut(begun);
    if (rest.inputs.length > 0) this.#parts.giveBack(rest, begun, now() - (part.startedAt ?? 0));
  }
}
