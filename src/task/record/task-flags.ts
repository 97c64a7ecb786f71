/** The flags of a task, as bits of one number, because there may be a million tasks. */

const slotFlag = 1;
const awaitedFlag = 2;
const forgottenFlag = 4;
const stopFlag = 8;
const subTaskFlag = 16;
const parentFlag = 32;
const releasedFlag = 64;
const heldFlag = 128;
const prefetchedFlag = 256;
const partFlag = 512;
const bulkFlag = 1024;
const uniqueFlag = 2048;
const sharedFlag = 4096;
const followerFlag = 8192;
const hostFlag = 16384;
const oneArgumentFlag = 32768;
const warningShift = 16;

export abstract class TaskFlags {
  #flags = 0;

  /** It holds a slot, or shares that of its batch. */
  get hasSlot(): boolean {
    return isSet(this.#flags, slotFlag);
  }

  set hasSlot(has: boolean) {
    this.#flags = withFlag(this.#flags, slotFlag, has);
  }

  /** Somebody waits, or has waited, for its handle. */
  get isAwaited(): boolean {
    return isSet(this.#flags, awaitedFlag);
  }

  set isAwaited(is: boolean) {
    this.#flags = withFlag(this.#flags, awaitedFlag, is);
  }

  /** It can't be found by its id any more. */
  get isForgotten(): boolean {
    return isSet(this.#flags, forgottenFlag);
  }

  set isForgotten(is: boolean) {
    this.#flags = withFlag(this.#flags, forgottenFlag, is);
  }

  /** It was asked to finish. */
  get isStopRequested(): boolean {
    return isSet(this.#flags, stopFlag);
  }

  set isStopRequested(is: boolean) {
    this.#flags = withFlag(this.#flags, stopFlag, is);
  }

  /** It was called by a task. */
  get isSubTask(): boolean {
    return isSet(this.#flags, subTaskFlag);
  }

  set isSubTask(is: boolean) {
    this.#flags = withFlag(this.#flags, subTaskFlag, is);
  }

  /** It has called tasks. */
  get isParent(): boolean {
    return isSet(this.#flags, parentFlag);
  }

  set isParent(is: boolean) {
    this.#flags = withFlag(this.#flags, parentFlag, is);
  }

  /** As a generator, it need not wait for a reader of its results. */
  get isReleased(): boolean {
    return isSet(this.#flags, releasedFlag);
  }

  set isReleased(is: boolean) {
    this.#flags = withFlag(this.#flags, releasedFlag, is);
  }

  /** It waits because its module is full. */
  get isHeld(): boolean {
    return isSet(this.#flags, heldFlag);
  }

  set isHeld(is: boolean) {
    this.#flags = withFlag(this.#flags, heldFlag, is);
  }

  /** It waits in its queue, and a busy host has it already. */
  get isPrefetched(): boolean {
    return isSet(this.#flags, prefetchedFlag);
  }

  set isPrefetched(is: boolean) {
    this.#flags = withFlag(this.#flags, prefetchedFlag, is);
  }

  /** It runs some inputs of a bulk, which alone is seen from outside. */
  get isPart(): boolean {
    return isSet(this.#flags, partFlag);
  }

  set isPart(is: boolean) {
    this.#flags = withFlag(this.#flags, partFlag, is);
  }

  /** It is the record of an `all()`: it has many inputs, runs in no lane, and its parts have the slots. */
  get isBulk(): boolean {
    return isSet(this.#flags, bulkFlag);
  }

  set isBulk(is: boolean) {
    this.#flags = withFlag(this.#flags, bulkFlag, is);
  }

  /** It is, or was, the one task of its definition and key. */
  get isUnique(): boolean {
    return isSet(this.#flags, uniqueFlag);
  }

  set isUnique(is: boolean) {
    this.#flags = withFlag(this.#flags, uniqueFlag, is);
  }

  /** Others have joined it. */
  get isShared(): boolean {
    return isSet(this.#flags, sharedFlag);
  }

  set isShared(is: boolean) {
    this.#flags = withFlag(this.#flags, sharedFlag, is);
  }

  /** It has joined another one, which runs for it. */
  get isFollower(): boolean {
    return isSet(this.#flags, followerFlag);
  }

  set isFollower(is: boolean) {
    this.#flags = withFlag(this.#flags, followerFlag, is);
  }

  /** It is for one thread or child, and runs in no other. */
  get isForHost(): boolean {
    return isSet(this.#flags, hostFlag);
  }

  set isForHost(is: boolean) {
    this.#flags = withFlag(this.#flags, hostFlag, is);
  }

  /** It was called with one argument, which it keeps without a list. */
  protected get hasOneArgument(): boolean {
    return isSet(this.#flags, oneArgumentFlag);
  }

  protected set hasOneArgument(has: boolean) {
    this.#flags = withFlag(this.#flags, oneArgumentFlag, has);
  }

  /** Which warnings about its waiting were logged, one bit each. */
  get warnings(): number {
    return this.#flags >> warningShift;
  }

  set warnings(warnings: number) {
    this.#flags = (this.#flags & ((1 << warningShift) - 1)) | (warnings << warningShift);
  }
}

function isSet(flags: number, flag: number): boolean {
  return (flags & flag) !== 0;
}

function withFlag(flags: number, flag: number, is: boolean): number {
  return is ? flags | flag : flags & ~flag;
}
