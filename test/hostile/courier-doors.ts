/**
 * Every door of a courier that a hostile value can come by. Whatever comes: its task ends, as what it is or by a clear
 * error; the tasks beside it give their results; and no worker ends.
 */
import { BaseWorker, type ClientWorkerTaskCourier, type CourierTask, type CourierTaskContext } from 'taskwarden';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { fateOf } from './doors.ts';
import { type HostileName, hostile, hostileNames } from './values.ts';

interface Asked {
  readonly way: 'give' | 'throw' | 'reject' | 'say' | 'note' | 'wait';
  readonly name: HostileName | 'plain';
}

const made = (name: Asked['name']) => (name === 'plain' ? 'plain' : hostile(name));

async function perform({ way, name }: Asked, context: CourierTaskContext): Promise<unknown> {
  switch (way) {
    case 'give':
      return [made(name)][0];
    case 'throw':
      throw made(name);
    case 'reject':
      return Promise.reject(made(name));
    case 'say':
      return fateOf((async () => context.send({ kind: 'message', data: made(name) }))());
    case 'note':
      return fateOf(
        (async () => context.send({ kind: 'progress', progress: { fraction: 0.5, note: made(name) as string } }))(),
      );
    case 'wait':
      await new Promise<void>((resolve) => context.signal.addEventListener('abort', () => resolve(), { once: true }));
      return 'stopped';
  }
}

/** One task at a time. */
class Singles extends BaseWorker<Asked> {
  override performSingleTask(task: CourierTask<Asked>, context: CourierTaskContext): Promise<unknown> {
    return perform(task.data, context);
  }
}

/** All that it has at once. */
class Bulks extends BaseWorker<Asked> {
  override performTasks(tasks: readonly CourierTask<Asked>[]): unknown[] {
    return tasks.map(({ data }) =>
      data.way === 'throw' ? Object.assign(new Error('m'), { made: made(data.name) }) : made(data.name),
    );
  }
}

export function testCourierDoors(label: string, create: () => ClientWorkerTaskCourier): void {
  let courier: ClientWorkerTaskCourier;
  const stop = new AbortController();
  let performing: readonly Promise<void>[] = [];
  const heard: unknown[] = [];
  const ask = (queue: string, way: Asked['way'], name: Asked['name']) => courier.addTaskToQueue(queue, { way, name });
  const resultOf = (queue: string, id: string) => courier.waitForTaskResult(queue, id, { timeoutMs: 25_000 });
  const answer = async (queue: string, way: Asked['way'], name: Asked['name']) =>
    resultOf(queue, await ask(queue, way, name));

  beforeAll(() => {
    courier = create();
    const onError = (error: unknown) => heard.push(error);
    const workers = [
      new Singles({ courier, queueName: 'singles', maxSimultaneousTasks: 4, onError }),
      new Bulks({ courier, queueName: 'bulks', maxTasksPerIteration: 3, maxSimultaneousTasks: 3, onError }),
    ];
    performing = workers.map((worker) => worker.perform({ signal: stop.signal }));
    for (const each of performing) each.catch(() => {});
  });

  afterAll(async () => {
    stop.abort();
    await Promise.all(performing);
    await courier.close();
  });

  const doors: Readonly<
    Record<string, { readonly allowed: readonly string[]; open(name: HostileName): Promise<readonly string[]> }>
  > = {
    'the data of a task': {
      allowed: ['done', 'ARGUMENT_NOT_CLONEABLE'],
      open: (name) =>
        Promise.all([
          fateOf(courier.addTaskToQueue('unread', hostile(name))),
          fateOf(courier.bulkAddTasksToQueue('unread', ['plain', hostile(name)])),
        ]),
    },
    'a result': {
      allowed: ['done', 'RESULT_NOT_CLONEABLE', 'failed'],
      open: async (name) => [await fateOf(answer('singles', 'give', name))],
    },
    'a result of a bulk': {
      allowed: ['done', 'RESULT_NOT_CLONEABLE', 'failed'],
      async open(name) {
        const ids = await courier.bulkAddTasksToQueue(
          'bulks',
          ['plain', name, 'plain'].map((each) => ({ way: 'give', name: each })),
        );
        const fates = await Promise.all(ids.map((id) => fateOf(resultOf('bulks', id))));
        expect([fates[0], fates[2]]).toEqual(['done', 'done']);
        return fates;
      },
    },
    'what a task throws, or rejects with': {
      allowed: ['failed'],
      open: (name) =>
        Promise.all([
          fateOf(answer('singles', 'throw', name)),
          fateOf(answer('singles', 'reject', name)),
          fateOf(answer('bulks', 'throw', name)),
        ]),
    },
    'what a task says to its client': {
      allowed: ['done', 'failed', 'MESSAGE_NOT_CLONEABLE'],
      open: async (name) =>
        (await Promise.all([answer('singles', 'say', name), answer('singles', 'note', name)])).map(String),
    },
    'the reason of a cancel': {
      allowed: ['TASK_CANCELED'],
      async open(name) {
        const id = await ask('singles', 'wait', 'plain');
        const result = fateOf(resultOf('singles', id));
        await courier.cancelTask('singles', id, hostile(name));
        return [await result];
      },
    },
    'an id, or the name of a queue': {
      allowed: ['done', 'failed', 'ARGUMENT_NOT_CLONEABLE', 'DUPLICATE_TASK_ID'],
      open: (name) =>
        Promise.all([
          fateOf((async () => courier.addTaskToQueue('unread', 1, { id: hostile(name) as string }))()),
          fateOf((async () => courier.addTaskToQueue(hostile(name) as string, 1))()),
        ]),
    },
  };

  describe.each(hostileNames)(`${label}: %s`, (name) => {
    it.each(Object.entries(doors))('as %s', async (_as, { allowed, open }) => {
      const fates = await open(name);
      expect(fates.filter((fate) => !allowed.includes(fate))).toEqual([]);
    });

    it('and the workers go on', async () => {
      const answers = ['singles', 'bulks'].map((queue) => answer(queue, 'give', 'plain'));
      expect(await Promise.all(answers)).toEqual(['plain', 'plain']);
    });
  });
}
