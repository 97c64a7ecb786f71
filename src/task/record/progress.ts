/** How far a running task has come. */
export interface Progress {
  /** From 0 to 1. */
  readonly fraction: number;
  readonly note?: string;
  /** Of an `all()`: how many inputs have ended, those that failed included. */
  readonly done?: number;
  /** Of an `all()`: how many inputs have failed. */
  readonly failed?: number;
  /** Of an `all()`: how many inputs there are; undefined until all are read, if they are not in an array. */
  readonly total?: number | undefined;
}
