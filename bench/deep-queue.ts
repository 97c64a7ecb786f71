/** First in, first out, at a cost that does not grow: for libraries whose own queue can be replaced, and is slow when long. */
export class DeepQueue<T> {
  #items: (T | null)[] = [];
  #taken = 0;

  get size(): number {
    return this.#items.length - this.#taken;
  }

  push(item: T): void {
    this.#items.push(item);
  }

  shift(): T | null {
    const item = this.#items[this.#taken] ?? null;
    if (item === null) return null;
    this.#items[this.#taken] = null;
    this.#taken += 1;
    if (this.#taken > 1_000 && this.#taken > this.size) this.clear(this.#items.slice(this.#taken));
    return item;
  }

  includes(item: T): boolean {
    return this.#items.includes(item);
  }

  remove(item: T): void {
    const index = this.#items.indexOf(item);
    if (index !== -1) this.#items.splice(index, 1);
  }

  clear(rest: (T | null)[] = []): void {
    this.#items = rest;
    this.#taken = 0;
  }
}
