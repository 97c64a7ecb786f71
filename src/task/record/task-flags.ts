/** What is either so or not of a task, in one number: there may be a million tasks. */

const slotFlag = 1;
const awaitedFlag = 2;
const forgottenFlag = 4;
const stopFlag = 8;
const nestedFlag = 16;
const parentFlag = 32;
const freeFlag = 64;
const heldFlag = 128;
const warningShift = 8;

export abstract class TaskFlags {
  #flags = 0;

  /** A slot was taken for it, or for one that it goes with, and it has not come back. */
  get hasSlot(): boolean {
    return this.#has(slotFlag);
  }

  set hasSlot(has: boolean) {
    this.#set(slotFlag, has);
  }

  /** Somebody waits, or waited, for the handle. */
  get isAwaited(): boolean {
    return this.#has(awaitedFlag);
  }

  set isAwaited(is: boolean) {
    this.#set(awaitedFlag, is);
  }

  /** It is not to be found by its id any more. */
  get isForgotten(): boolean {
    return this.#has(forgottenFlag);
  }

  set isForgotten(is: boolean) {
    this.#set(forgottenFlag, is);
  }

  /** It was asked to finish. */
  get isStopRequested(): boolean {
    return this.#has(stopFlag);
  }

  set isStopRequested(is: boolean) {
    this.#set(stopFlag, is);
  }

  /** A task called it. */
  get isSubTask(): boolean {
    return this.#has(nestedFlag);
  }

  set isSubTask(is: boolean) {
    this.#set(nestedFlag, is);
  }

  /** It has called tasks. */
  get isParent(): boolean {
    return this.#has(parentFlag);
  }

  set isParent(is: boolean) {
    this.#set(parentFlag, is);
  }

  /** It need not wait for who reads its results. */
  get isReleased(): boolean {
    return this.#has(freeFlag);
  }

  set isReleased(is: boolean) {
    this.#set(freeFlag, is);
  }

  /** It waits, and its module has no place for it. */
  get isHeld(): boolean {
    return this.#has(heldFlag);
  }

  set isHeld(is: boolean) {
    this.#set(heldFlag, is);
  }

  /** Which warnings about waiting were given, a bit for each. */
  get warnings(): number {
    return this.#flags >> warningShift;
  }

  set warnings(warnings: number) {
    this.#flags = (this.#flags & ((1 << warningShift) - 1)) | (warnings << warningShift);
  }

  #has(flag: number): boolean {
    return (this.#flags & flag) !== 0;
  }

  #set(flag: number, is: boolean): void {
    this.#flags = is ? this.#flags | flag : this.#flags & ~flag;
  }
}
