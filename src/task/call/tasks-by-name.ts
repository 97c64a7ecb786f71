/** An object with a background task of each name: of a module, or of the functions that a queue's workers have. */

/** Each task is made when it is first read. @param shown What the object is as a text. */
export function tasksByName(shown: string, make: (name: string) => object): object {
  const tasks = new Map<string, object>();
  return new Proxy(Object.freeze({ [Symbol.toPrimitive]: () => shown }), {
    get: (target, key) => {
      // These never name a task: the object must not look like a promise, and must be printable.
      if (typeof key !== 'string' || key === 'then' || key === 'toJSON') return Reflect.get(target, key);
      let task = tasks.get(key);
      if (task === undefined) {
        task = make(key);
        tasks.set(key, task);
      }
      return task;
    },
  });
}
