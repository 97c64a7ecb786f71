/** The work that all contestants do: plain functions that know no library. Plain JavaScript, so that threads start without a loader. */

export function tiny(n) {
  return n + 1;
}

/** Many in one call. */
export function tinyMany(numbers) {
  return numbers.map(tiny);
}

/** Tiny, or a call that keeps its thread until the gate opens, having counted itself in. */
export function tinyOrHeld(value) {
  if (typeof value === 'number') return tiny(value);
  Atomics.add(value, 1, 1);
  Atomics.wait(value, 0, 0);
  return 0;
}

export function echo(value) {
  return value;
}

/** Keeps a core busy with a fixed amount of work. */
export function spin(iterations) {
  let state = 1;
  for (let i = 0; i < iterations; i += 1) state = (Math.imul(state, 1_664_525) + 1_013_904_223) | 0;
  return state;
}

/** The same as so many calls of `spin`, with nothing in between. */
export function spinMany({ iterations, times }) {
  let state = 0;
  for (let i = 0; i < times; i += 1) state ^= spin(iterations);
  return state;
}

export function spinLow({ iterations }) {
  return spin(iterations);
}

/** When it began, on a clock that all threads of a process share. In milliseconds. */
export function clock() {
  return Number(process.hrtime.bigint()) / 1e6;
}
