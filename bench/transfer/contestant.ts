/** One contestant of the row on transfer: a large buffer is handed over, touched and handed back, and never copied. */
import { Worker } from 'node:worker_threads';
import { type BackgroundTask, TaskSupervisor, tasksFrom } from 'taskwarden';
import { elapsed } from '../cpu-work.ts';
import { fixedPiscina, type PiscinaSettings } from '../pools/piscina.ts';
import { fixedTinypool } from '../pools/tinypool.ts';
import { fixedWorkerpool } from '../pools/workerpool.ts';

interface Transfers {
  touch(buffer: ArrayBuffer): ArrayBuffer;
}

type Send = (buffer: ArrayBuffer) => PromiseLike<ArrayBuffer>;

const bytes = 50 * 1024 * 1024;
let send: Send | undefined;

/** Gives the microseconds of a trip. The pool is kept from one run to the next. */
export async function run(library: string, trips: string, setting: string): Promise<number> {
  send ??= contestants[library]?.(setting);
  if (send === undefined) throw new RangeError(`there is no contestant "${library}"`);
  return trip(send, Number(trips));
}

const contestants: Readonly<Record<string, (setting: string) => Send>> = {
  taskwarden() {
    const supervisor = new TaskSupervisor({ threads: { minSize: 1, execArgv: [] }, logger: false });
    const { touch } = tasksFrom<Transfers>(fileOf('taskwarden-transfer.mjs'), { supervisor });
    const moved: BackgroundTask<Transfers['touch']> = touch.with({ transfer: (args) => args });
    return (buffer) => moved(buffer);
  },

  piscina(setting) {
    const atomics = setting as PiscinaSettings['atomics'];
    const settings = { atomics, concurrentTasksPerWorker: 1 };
    const pool = fixedPiscina(fileOf('piscina-transfer.mjs'), 'touch', 1, settings);
    return (buffer) => pool.run(buffer, { transferList: [buffer] });
  },

  tinypool(setting) {
    const settings = { useAtomics: setting === 'true', concurrentTasksPerWorker: 1, taskQueue: 'default' } as const;
    const pool = fixedTinypool(fileOf('tinypool-transfer.mjs'), 'touch', 1, settings);
    return (buffer) => pool.run(buffer, { transferList: [buffer] });
  },

  workerpool() {
    const pool = fixedWorkerpool('workerpool-transfer.mjs', 1, 'fifo');
    return (buffer) => pool.exec('touch', [buffer], { transfer: [buffer] });
  },

  'bare postMessage'() {
    const worker = new Worker(fileOf('bare-transfer.mjs'), { execArgv: [] });
    let answer: ((buffer: ArrayBuffer) => void) | undefined;
    worker.on('message', (buffer: ArrayBuffer) => answer?.(buffer));
    return (buffer) =>
      new Promise((resolve) => {
        answer = resolve;
        worker.postMessage(buffer, [buffer]);
      });
  },
};

function fileOf(name: string): URL {
  return new URL(`../work/${name}`, import.meta.url);
}

async function trip(send: Send, trips: number): Promise<number> {
  let buffer = new ArrayBuffer(bytes);
  const totalMs = await elapsed(async () => {
    for (let n = 0; n < trips; n += 1) {
      const given = buffer;
      buffer = await send(given);
      if (given.byteLength !== 0 || buffer.byteLength !== bytes) throw new Error('the buffer was copied');
    }
  });
  if (new Uint8Array(buffer)[0] !== trips % 256) throw new Error('the buffer was not touched');
  return (totalMs / trips) * 1_000;
}
