/** Tasks that give, throw or say a hostile value, which they make themselves: its name comes as their argument. */
import { types } from 'node:util';
import { backgroundTask, currentTask, TaskwardenError } from 'taskwarden';
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

/** Gives what its steps and its checkpoint failed with, or that they are done: the value is a result, a name, what to do, and data. */
export const steps = backgroundTask(
  import.meta.url,
  async (name: HostileName) => {
    const task = currentTask();
    const value = hostile(name);
    const calls = [
      () => task.step('result', () => [value][0]),
      () => task.step('in a result', () => [value]),
      () => task.step(value as string, () => 1),
      () => task.step('what to do', value as () => unknown),
      () => task.checkpoint([value]),
    ];
    const fates: string[] = [];
    for (const call of calls) {
      try {
        await call();
        fates.push('done');
      } catch (error) {
        const isOurs = error instanceof TaskwardenError;
        fates.push(isOurs ? error.code : types.isNativeError(error) ? error.name : 'failed');
      }
    }
    return [...fates, await task.step('plain', () => plain)];
  },
  { name: 'steps' },
);
