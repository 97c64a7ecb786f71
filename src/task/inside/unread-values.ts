/** The values that a channel has received and nobody has read: a queue on an array that seldom copies itself. */
export class UnreadValues {
  #values: unknown[] = [];
  /** The index of the first unread value. */
  #first = 0;

  get size(): number {
    return this.#values.length - this.#first;
  }

  push(value: unknown): void {
    this.#values.push(value);
  }

  /** Removes the first value, of which there must be one, and returns it. */
  shift(): unknown {
    const value = this.#values[this.#first];
    this.#values[this.#first] = undefined;
    this.#first += 1;
    // Not after each value, because it copies all that are left.
    if (this.#first === this.#values.length || (this.#first >= 1_024 && this.#first > this.size)) {
      this.#values = this.#values.slice(this.#first);
      this.#first = 0;
    }
    return value;
  }
}
