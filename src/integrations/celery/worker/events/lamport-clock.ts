/** The logical clock by which Celery's programs order what they tell each other. */

export class LamportClock {
  #value = 0;

  get value(): number {
    return this.#value;
  }

  /** Something happens here. */
  forward(): number {
    this.#value += 1;
    return this.#value;
  }

  /** Something was heard from a program whose clock had this value. */
  adjust(other: number): number {
    this.#value = Math.max(this.#value, Number.isFinite(other) ? other : 0) + 1;
    return this.#value;
  }
}
