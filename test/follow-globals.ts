/**
 * Lets tests move the library's time. The library takes timers and clocks when it loads, so that no fake stops it; before
 * that, here, each is replaced by one that calls what is global at the time of the call.
 */
import { vi } from 'vitest';

type Call = (...args: unknown[]) => unknown;

/** What has the function now: a fake may replace that, too. */
type Holder = () => Record<string, Call>;

interface Followed {
  readonly holder: Holder;
  readonly name: string;
  readonly original: Call;
  readonly follower: Call;
}

// Files that share a process share the library, too, which keeps the followers that it took when it loaded.
const kept = globalThis as { [key: symbol]: readonly Followed[] | undefined };
const key = Symbol.for('taskwarden.test.followed');

// The fakes themselves take what they need now, while nothing is replaced.
for (const { holder, name, original } of kept[key] ?? []) holder()[name] = original;
vi.useFakeTimers().useRealTimers();

const timers = [
  'setTimeout',
  'clearTimeout',
  'setInterval',
  'clearInterval',
  'setImmediate',
  'clearImmediate',
  'queueMicrotask',
];

/** What calls the function that has replaced this one. */
function follow(holder: Holder, name: string): Followed {
  const own = holder();
  const original = own[name] as Call;
  let isInside = false; // what has replaced it may call it
  const follower: Call = (...args) => {
    const present = holder()[name] as Call;
    if (present === follower || isInside) return original.apply(own, args);
    isInside = true;
    try {
      return present.apply(holder(), args);
    } finally {
      isInside = false;
    }
  };
  Object.defineProperties(follower, Object.getOwnPropertyDescriptors(original));
  return { holder, name, original, follower };
}

kept[key] ??= [
  ...timers.map((name) => follow(() => globalThis as never, name)),
  follow(() => Date as never, 'now'),
  follow(() => performance as never, 'now'),
];
for (const { holder, name, follower } of kept[key]) holder()[name] = follower;
