/** Row 9: a large buffer is handed over, touched and handed back, and never copied. */
import { Worker } from 'node:worker_threads';
import { type BackgroundTask, TaskSupervisor, tasksFrom } from 'taskwarden';
import { elapsed } from '../cpu-work.ts';
import { atMost, type Contestant, compare, heat, type Row } from '../measure.ts';
import { fixedPiscina, type PiscinaSettings } from '../pools/piscina.ts';
import { fixedTinypool } from '../pools/tinypool.ts';
import { fixedWorkerpool } from '../pools/workerpool.ts';

interface Transfers {
  touch(buffer: ArrayBuffer): ArrayBuffer;
}

const bytes = 50 * 1024 * 1024;
const trips = 3_000;
const piscinaSettings: readonly PiscinaSettings[] = [
  { atomics: 'sync', concurrentTasksPerWorker: 1 },
  { atomics: 'disabled', concurrentTasksPerWorker: 1 },
];

export const transfer: Row = {
  number: 9,
  name: 'transfer',
  work: '50 MB ArrayBuffer there and back with transfer',
  measure: async () => {
    const heats = [
      await heat(piscinaSettings, piscina, 'lower'),
      await heat([true, false], tinypool, 'lower'),
    ] as const;
    const runs = 9;
    const [{ best: piscinaBest }, { best: tinypoolBest }] = heats;
    const figures = await compare([taskwarden(), piscina(piscinaBest), tinypool(tinypoolBest), workerpool(), bare()], {
      runs,
    });
    return [
      {
        what: `${trips.toLocaleString('en-US')} trips, one by one`,
        unit: 'µs a trip',
        better: 'lower',
        runs,
        figures,
        checks: [atMost(1.2, 'bare postMessage', figures)],
        notes: [...heats.map(({ note }) => note), 'poolifier transfers only to a thread, jest-worker not at all'],
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

function tinypool(useAtomics: boolean): Contestant {
  const settings = { useAtomics, concurrentTasksPerWorker: 1, taskQueue: 'default' } as const;
  const pool = fixedTinypool(new URL('../work/tinypool-transfer.mjs', import.meta.url), 'touch', 1, settings);
  return {
    name: 'tinypool',
    settings: `transferList, move(), useAtomics ${useAtomics}`,
    run: () => trip((buffer) => pool.run(buffer, { transferList: [buffer] })),
    close: () => pool.destroy(),
  };
}

function workerpool(): Contestant {
  const pool = fixedWorkerpool('workerpool-transfer.mjs', 1, 'fifo');
  return {
    name: 'workerpool',
    settings: 'option transfer, Transfer',
    run: () => trip((buffer) => pool.exec('touch', [buffer], { transfer: [buffer] })),
    close: async () => {
      await pool.terminate(true);
    },
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
