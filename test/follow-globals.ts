/**
 * Lets tests move the library's time. The library takes timers and clocks when it loads, so that no fake stops it; before
 * that, here, each is replaced by one that calls what is global at the time of the call.
 */
import { vi } from 'vitest';

// The fakes themselves take what they need now, before anything is replaced.
vi.useFakeTimers().useRealTimers();

const timers = [
  'setTimeout',
  'clearTimeout',
  'setInterval',
  'clearInterval',
  'setImmediate',
  'clearImmediate',
  'queueMicrotask',
] as const;

type Call = (...args: unknown[]) => unknown;

/** Replaces a function by one that calls whatever has replaced that one. */
function follow<K extends string>(holder: () => Record<K, Call>, name: K): void {
  const own = holder();
  const original = own[name].bind(own);
  let isInside = false; // what has replaced it may call it
  const follower: Call = (...args) => {
    const present = holder()[name];
    if (present === follower || isInside) return original(...args);
    isInside = true;
    try {
      return holder()[name](...args);
    } finally {
      isInside = false;
    }
  };
  own[name] = Object.defineProperties(follower as Record<K, Call>[K], Object.getOwnPropertyDescriptors(own[name]));
}

for (const name of timers) follow(() => globalThis as unknown as Record<typeof name, Call>, name);
follow(() => Date as unknown as Record<'now', Call>, 'now');
follow(() => performance as unknown as Record<'now', Call>, 'now');
