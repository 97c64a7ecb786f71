/** Chaos around SqliteTaskCourier: programs that are killed or held, and files that are copied, torn or full. */
import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SqliteTaskCourier } from 'taskwarden/sqlite';
import { afterAll, afterEach, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { expectNothingLeft } from '../chaos/courier-load.ts';
import { workerChaos } from '../chaos/courier-workers.ts';
import { Program } from '../fixtures/program.ts';
import { openSqlite } from '../fixtures/sqlite.ts';

const folder = mkdtempSync(join(tmpdir(), 'taskwarden-sqlite-'));
let path: string;
let files = 0;
const open: SqliteTaskCourier[] = [];

beforeEach(() => {
  files += 1;
  path = join(folder, `tasks-${files}.db`);
});

afterEach(async () => {
  await Promise.all(open.splice(0).map((courier) => courier.close()));
});

afterAll(() => rmSync(folder, { recursive: true }));

function connect(options: object = {}): SqliteTaskCourier {
  const courier = new SqliteTaskCourier(path, options);
  open.push(courier);
  return courier;
}

workerChaos({ name: 'SQLite', connect, program: (leaseMs, mode) => [path, '', `${leaseMs}`, mode] });

function start(who: string, leaseMs = 300, bytes = 1): Program {
  const program = new Program('sqlite-chaos.mjs', { args: [path, who, `${leaseMs}`, `${bytes}`] });
  onTestFinished(() => program.kill('SIGKILL'));
  return program;
}

/** Whether the file is sound, by what SQLite says of it. */
function check(file = path): unknown {
  const connection = openSqlite(file);
  try {
    return Object.values(connection.prepare('PRAGMA integrity_check').get() ?? {})[0];
  } finally {
    connection.close();
  }
}

describe('programs on one file that are killed', () => {
  it.each([
    [2, 10, 20_000],
    [4, 12, 1],
  ])(
    '%i of them, %i times, with %i bytes in each task: what was added is done, and each task is settled once',
    async (count, kills, bytes) => {
      const seed = Math.floor(Math.random() * 2 ** 31);
      console.log(`sqlite chaos: seed ${seed}`);
      const random = randomOf(seed);
      let begun = 0;
      const begin = () => {
        begun += 1;
        return start(`p${begun}`, 300, bytes);
      };
      const ended: Program['ended'][] = [];
      const running = Array.from({ length: count }, begin);
      for (let n = 0; n < kills; n += 1) {
        const place = Math.floor(random() * count);
        const victim = running[place] as Program;
        await victim.printedLines(1 + Math.floor(random() * 60));
        victim.kill('SIGKILL');
        ended.push(victim.ended);
        running[place] = begin();
      }
      for (const program of running) await program.printedLines(1);
      for (const program of running) program.kill('SIGTERM');
      for (const program of running) ended.push(program.ended);
      const ends = await Promise.all(ended);
      expect(ends.slice(kills).map(({ code, stderr }) => [code, stderr])).toEqual(running.map(() => [0, '']));
      const lines = ends.flatMap((end) => end.lines);
      const told = (word: string) =>
        lines.filter((line) => line.startsWith(word)).map((line) => line.slice(word.length));
      const returned = told('returned ');
      expect(new Set(returned).size).toBe(returned.length);

      const courier = connect({ maxStalls: Infinity, leaseMs: 300 });
      await finish(courier);
      await expectNothingLeft(courier);
      const added = told('added ');
      expect(added.length).toBeGreaterThan(kills);
      for (const id of added) {
        const n = Number(id.split('-')[1]);
        expect(await courier.getTaskResult('work', id)).toEqual({ twice: n * 2 });
      }
      expect(check()).toBe('ok');
    },
  );
});

/** Does what is left. */
async function finish(courier: SqliteTaskCourier): Promise<void> {
  for (;;) {
    const tasks = await courier.bulkWaitForTasks('work', 50, { timeoutMs: 1_000 });
    if (tasks.length === 0) return;
    await courier.bulkReturnTaskResults(
      'work',
      tasks.map((task) => [task, { twice: (task.data as { n: number }).n * 2 }] as const),
    );
  }
}

/** Numbers from 0 to 1, the same for the same seed: mulberry32. */
function randomOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

describe('a journal that was torn', () => {
  it('is read up to where it is whole: the last tasks are lost, and no other', async () => {
    const program = start('torn', 600_000);
    await program.printed('added torn-60');
    program.kill('SIGKILL');
    const { lines } = await program.ended;
    const added = lines.filter((line) => line.startsWith('added')).length;
    const { size } = statSync(`${path}-wal`);
    const known: number[] = [];
    for (let n = 0; n <= 20; n += 1) {
      const copy = join(folder, `torn-${files}-${n}`, 'tasks.db');
      mkdirSync(join(copy, '..'));
      copyFileSync(path, copy);
      copyFileSync(`${path}-wal`, `${copy}-wal`);
      const length = Math.floor((size * n) / 20);
      if (n % 2 === 0) truncateSync(`${copy}-wal`, length);
      else writeFileSync(`${copy}-wal`, scribbled(readFileSync(`${path}-wal`), length));
      const courier = new SqliteTaskCourier(copy);
      const ids = await idsIn(courier);
      expect(ids).toEqual(ids.map((_, place) => `torn-${place}`)); // none is missing in the middle
      known.push(ids.length);
      await courier.addTaskToQueue('other', n);
      expect(await courier.getTask('other')).toMatchObject({ data: n });
      await courier.close();
      expect(check(copy)).toBe('ok');
    }
    expect(known).toEqual([...known].sort((a, b) => a - b));
    expect(known.at(-1)).toBeGreaterThanOrEqual(added);
  });
});

/** Other bytes from there on. */
function scribbled(bytes: Buffer, from: number): Buffer {
  return bytes.fill(0x5a, Math.min(from, bytes.length - 1));
}

/** Of all tasks, in the order in which they were added. */
async function idsIn(courier: SqliteTaskCourier): Promise<string[]> {
  const states = ['waiting', 'delayed', 'leased', 'completed', 'failed'] as const;
  const all = await Promise.all(states.map((state) => courier.listTasks('work', { state, max: 1_000 })));
  return all
    .flat()
    .map(({ id }) => id)
    .sort((a, b) => Number(a.split('-')[1]) - Number(b.split('-')[1]));
}

describe('a copy', () => {
  it('that SQLite makes while programs write is whole, and lives by itself', async () => {
    const programs = [start('a', 600_000), start('b', 600_000)];
    for (const program of programs) await program.printed(/^added .-40$/);
    const copies = Array.from({ length: 5 }, (_, n) => join(folder, `copy-${files}-${n}.db`));
    const connection = openSqlite(path);
    for (const copy of copies) connection.exec(`VACUUM INTO '${copy}'`);
    connection.close();
    for (const program of programs) program.kill('SIGTERM');
    for (const program of programs) expect(await program.ended).toMatchObject({ code: 0 });
    const counts: number[] = [];
    for (const copy of copies) {
      expect(check(copy)).toBe('ok');
      const courier = new SqliteTaskCourier(copy);
      const ids = await idsIn(courier);
      for (const who of ['a', 'b']) {
        const own = ids.filter((id) => id.startsWith(who)).sort((x, y) => Number(x.slice(2)) - Number(y.slice(2)));
        expect(own).toEqual(own.map((_, place) => `${who}-${place}`));
      }
      counts.push(ids.length);
      await courier.close();
    }
    expect(counts[0]).toBeGreaterThanOrEqual(82);
    expect(counts).toEqual([...counts].sort((a, b) => a - b));
  });

  it('knows no lease of the other, though both give the same task', async () => {
    const first = connect();
    await first.addTaskToQueue('work', 1, { id: 'same' });
    const copy = join(folder, `copied-${files}.db`);
    const connection = openSqlite(path);
    connection.exec(`VACUUM INTO '${copy}'`);
    connection.close();
    const second = new SqliteTaskCourier(copy);
    open.push(second);
    const [own, other] = [await first.getTask('work'), await second.getTask('work')];
    if (own === undefined || other === undefined) throw new Error('no task came');
    await expect(first.returnTaskResult('work', other, 0)).rejects.toMatchObject({ code: 'LEASE_LOST' });
    await first.returnTaskResult('work', own, 'own');
    await second.returnTaskResult('work', other, 'other');
    expect(await first.getTaskResult('work', 'same')).toBe('own');
    expect(await second.getTaskResult('work', 'same')).toBe('other');
  });
});
