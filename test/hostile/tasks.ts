/** Tasks that give, throw or say a hostile value, which they make themselves: its name comes as their argument. */
import { backgroundTask, currentTask } from 'taskwarden';
import { type HostileName, hostile } from './values.ts';

const plain = 'plain';

const made = (name: HostileName | typeof plain) => (name === plain ? plain : hostile(name));

export const takes = backgroundTask(import.meta.url, (_value: unknown, n: number) => n, { name: 'takes' });

export const gives = backgroundTask(import.meta.url, (name: HostileName | typeof plain) => [made(name)][0], {
  name: 'gives',
});

export const throws = backgroundTask(
  import.meta.url,
  (name: HostileName | typeof plain): string => {
    if (name !== plain) throw made(name);
    return plain;
  },
  { name: 'throws' },
);

export const rejects = backgroundTask(
  import.meta.url,
  async (name: HostileName): Promise<string> => {
    await null;
    throw hostile(name);
  },
  { name: 'rejects' },
);

/** Gives what sending it failed with, if it did. */
export const sends = backgroundTask(
  import.meta.url,
  async (name: HostileName) => {
    try {
      await currentTask().send(hostile(name));
      return 'sent';
    } catch (error) {
      return (error as { code?: unknown }).code;
    }
  },
  { name: 'sends' },
);

/** Gives what reporting it failed with, if it did. */
export const reports = backgroundTask(
  import.meta.url,
  (name: HostileName) => {
    try {
      currentTask().progress(0.5, hostile(name) as string);
      return 'reported';
    } catch (error) {
      return (error as Error).name;
    }
  },
  { name: 'reports' },
);

export const yields = backgroundTask(
  import.meta.url,
  function* yields(name: HostileName) {
    yield hostile(name);
    return plain;
  },
  { name: 'yields' },
);

/** Receives one message, and says that it came. */
export const receives = backgroundTask(
  import.meta.url,
  async () => {
    try {
      await currentTask().recv({ timeoutMs: 5_000 });
    } catch {
      // on the event loop it is not copied, and may be nothing that a promise can give
    }
    return 'received';
  },
  { name: 'receives' },
);

/** Runs until it is asked to stop, and gives the class of the reason. */
export const heeds = backgroundTask(
  import.meta.url,
  async () => {
    const { signal } = currentTask();
    currentTask().progress(0);
    if (!signal.aborted) await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
    return typeof signal.reason;
  },
  { name: 'heeds' },
);
