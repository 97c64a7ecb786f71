/** Row 9: a large buffer is handed over, touched and handed back, and never copied. */
import { Worker } from 'node:worker_threads';
import { type BackgroundTask, TaskSupervisor, tasksFrom } from 'taskwarden';
import { elapsed } from '../cpu-work.ts';
import { atMost, type Contestant, compare, heat, type Row } from '../measure.ts';
import { fixedPiscina, type PiscinaSettings } from '../pools.ts';

interface Transfers {
  touch(buffer: ArrayBuffer): ArrayBuffer;
}

const bytes = 50 * 1024 * 1024;
const trips = 5_000;

export const transfer: Row = {
  number: 9,
  name: 'transfer',
  work: '50 MB ArrayBuffer there and back with transfer',
  measure: async () => {
    const { best, note } = await heat(
      [
        { atomics: 'sync', concurrentTasksPerWorker: 1 },
        { atomics: 'disabled', concurrentTasksPerWorker: 1 },
      ] as const,
      piscina,
      'lower',
    );
    const runs = 9;
    const figures = await compare([taskwarden(), piscina(best), bare()], { runs });
    return [
      {
        what: `${trips.toLocaleString('en-US')} trips, one by one`,
        unit: 'µs a trip',
        runs,
        figures,
        checks: [atMost(1.2, 'bare postMessage', figures)],
        notes: [note],
      },
    ];
  },
};

function taskwarden(): Contestant {
  const supervisor = new TaskSupervisor({ threads: { minSize: 1, execArgv: [] }, logger: false });
  const { touch } = tasksFrom<Transfers>(new URL('../work/taskwarden-transfer.mjs', import.meta.url), { supervisor });
  const send: BackgroundTask<Transfers['touch']> = touch.with({ transfer: (args) => args });
  return {
    name: 'taskwarden',
    settings: 'option transfer, transferred()',
    run: () => trip((buffer) => send(buffer)),
    close: () => supervisor.stop(),
  };
}

function piscina(settings: PiscinaSettings): Contestant {
  const pool = fixedPiscina(new URL('../work/piscina-transfer.mjs', import.meta.url), 'touch', 1, settings);
  return {
    name: 'piscina',
    settings: `transferList, move(), atomics ${settings.atomics}`,
    run: () => trip((buffer) => pool.run(buffer, { transferList: [buffer] })),
    close: () => pool.destroy(),
  };
}

function bare(): Contestant {
  const worker = new Worker(new URL('../work/bare-transfer.mjs', import.meta.url), { execArgv: [] });
  let answer: ((buffer: ArrayBuffer) => void) | undefined;
  worker.on('message', (buffer: ArrayBuffer) => answer?.(buffer));
  const send = (buffer: ArrayBuffer) =>
    new Promise<ArrayBuffer>((resolve) => {
      answer = resolve;
      worker.postMessage(buffer, [buffer]);
    });
  return {
    name: 'bare postMessage',
    settings: 'transfer list',
    run: () => trip(send),
    close: () => worker.terminate(),
  };
}

async function trip(send: (buffer: ArrayBuffer) => PromiseLike<ArrayBuffer>): Promise<number> {
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
