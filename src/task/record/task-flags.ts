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
    return this.#has(slotFlag);
  }

  set hasSlot(has: boolean) {
    this.#set(slotFlag, has);
  }

  /** Somebody waits, or has waited, for its handle. */
  get isAwaited(): boolean {
    return this.#has(awaitedFlag);
  }

  set isAwaited(is: boolean) {
    this.#set(awaitedFlag, is);
  }

  /** It can't be found by its id any more. */
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

  /** It was called by a task. */
  get isSubTask(): boolean {
    return this.#has(subTaskFlag);
  }

  set isSubTask(is: boolean) {
    this.#set(subTaskFlag, is);
  }

  /** It has called tasks. */
  get isParent(): boolean {
    return this.#has(parentFlag);
  }

  set isParent(is: boolean) {
    this.#set(parentFlag, is);
  }

  /** As a generator, it need not wait for a reader of its results. */
  get isReleased(): boolean {
    return this.#has(releasedFlag);
  }

  set isReleased(is: boolean) {
    this.#set(releasedFlag, is);
  }

  /** It waits because its module is full. */
  get isHeld(): boolean {
    return this.#has(heldFlag);
  }

  set isHeld(is: boolean) {
    this.#set(heldFlag, is);
  }

  /** It waits in its queue, and a busy host has it already. */
  get isPrefetched(): boolean {
    return this.#has(prefetchedFlag);
  }

  set isPrefetched(is: boolean) {
    this.#set(prefetchedFlag, is);
  }

  /** It runs some inputs of a bulk, which alone is seen from outside. */
  get isPart(): boolean {
    return this.#has(partFlag);
  }

  set isPart(is: boolean) {
    this.#set(partFlag, is);
  }

  /** It is the record of an `all()`: it has many inputs, runs in no lane, and its parts have the slots. */
  get isBulk(): boolean {
    return this.#has(bulkFlag);
  }

  set isBulk(is: boolean) {
    this.#set(bulkFlag, is);
  }

  /** It is, or was, the one task of its definition and key. */
  get isUnique(): boolean {
    return this.#has(uniqueFlag);
  }

  set isUnique(is: boolean) {
    this.#set(uniqueFlag, is);
  }

  /** Others have joined it. */
  get isShared(): boolean {
    return this.#has(sharedFlag);
  }

  set isShared(is: boolean) {
    this.#set(sharedFlag, is);
  }

  /** It has joined another one, which runs for it. */
  get isFollower(): boolean {
    return this.#has(followerFlag);
  }

  set isFollower(is: boolean) {
    this.#set(followerFlag, is);
  }

  /** It is for one thread or child, and runs in no other. */
  get isForHost(): boolean {
    return this.#has(hostFlag);
  }

  set isForHost(is: boolean) {
    this.#set(hostFlag, is);
  }

  /** It was called with one argument, which it keeps without a list. */
  protected get hasOneArgument(): boolean {
    return this.#has(oneArgumentFlag);
  }

  protected set hasOneArgument(has: boolean) {
    this.#set(oneArgumentFlag, has);
  }

  /** Which warnings about its waiting were logged, one bit each. */
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
