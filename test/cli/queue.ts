/** What `taskwarden queue` does, whatever the courier is. */
import type { ClientWorkerTaskCourier } from 'taskwarden';
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { Command, type CommandEnd, taskwarden, taskwardenHere } from './command.ts';

/** A courier, and how the command line finds it. */
export interface Place {
  readonly courier: ClientWorkerTaskCourier;
  readonly args: (...action: string[]) => readonly string[];
}

/** Where couriers are made, each without any queue. */
export interface Places {
  readonly make: () => Promise<Place>;
  readonly end: () => unknown;
}

export function queueCommand(name: string, start: () => Promise<Places>): void {
  describe(`queue, over ${name}`, () => {
    let places: Places;
    let place: Place;
    let courier: ClientWorkerTaskCourier;

    beforeAll(async () => {
      places = await start();
    });

    afterAll(() => places.end());

    beforeEach(async () => {
      place = await places.make();
      courier = place.courier;
      onTestFinished(() => courier.close());
      await courier.getQueueNames(); // makes the file
    });

    function queue(...action: string[]): Promise<CommandEnd> {
      return taskwardenHere(['queue', ...place.args(...action)]);
    }

    /** One dead letter, one that waits, one that a worker has, one that is delayed, and one that has completed. */
    async function fill(): Promise<void> {
      const call = { function: 'send', args: ['ann'] };
      await courier.addTaskToQueue('mails', call, { id: 'dead', key: 'ann', priority: 'critical' });
      const dead = await courier.getTask('mails');
      if (dead !== undefined)
        await courier.returnTaskError('mails', dead, new RangeError('no such\u001b[2J user\nnowhere'));
      await courier.addTaskToQueue('mails', 2, { id: 'done', priority: 'critical' });
      const done = await courier.getTask('mails');
      if (done !== undefined) await courier.returnTaskResult('mails', done, 'sent');
      await courier.addTaskToQueue('mails', 3, { id: 'held', priority: 'critical' });
      await courier.getTask('mails');
      await courier.addTaskToQueue('mails', 4, { id: 'waits' });
      await courier.addTaskToQueue('sums', 5, { id: 'later', delayMs: 1e6 });
      await courier.pauseQueue('sums');
    }

    it('shows how many tasks there are in each queue', async () => {
      expect(await queue()).toMatchObject({ code: 0, stdout: 'there are no queues\n', stderr: '' });
      await fill();
      const rows = (await queue()).stdout.split('\n').map((line) => line.split(/ +/));
      expect(rows).toEqual([
        ['QUEUE', 'CRITICAL', 'HIGH', 'NORMAL', 'LOW', 'DELAYED', 'LEASED', 'FAILED'],
        ['mails', '0', '0', '1', '0', '0', '1', '1'],
        ['sums', '0', '0', '0', '0', '1', '0', '0', 'paused'],
        [''],
      ]);
      const { results } = await queue('info', '--queue', 'sums', '--json');
      expect(results).toMatchObject([{ queue: 'sums', delayed: 1, isPaused: true }]);
    });

    it('lists tasks that have not completed, or those of one state', async () => {
      await fill();
      const { results } = await queue('list', '--json');
      expect(results).toMatchObject([
        { queue: 'mails', id: 'waits', state: 'waiting' },
        { queue: 'mails', id: 'held', state: 'leased', attempts: 1 },
        { queue: 'mails', id: 'dead', name: 'send', key: 'ann', state: 'failed', error: { name: 'RangeError' } },
        { queue: 'sums', id: 'later', state: 'delayed' },
      ]);
      expect((await queue('list', '--json', '--state', 'completed')).results).toMatchObject([{ id: 'done' }]);
      expect((await queue('list', '--queue', 'sums', '--state', 'failed')).stdout).toBe('there are no such tasks\n');
    });

    it('lists them in lines for people, without what would move the cursor of a terminal', async () => {
      await fill();
      const { stdout } = await queue('list', '--state', 'failed');
      const [head = '', row = ''] = stdout.split('\n');
      expect(head).toMatch(/^QUEUE +STATE +ID +NAME +KEY +PRIORITY +ATTEMPTS +QUEUED +ERROR$/);
      expect(row).toMatch(/^mails +failed +dead +send +ann +critical +1 +\d{4}-\d\d-\d\dT\S+Z +no such\?\[2J user$/);
      expect(stdout.split('\n').length).toBe(3);
    });

    it('lists no more than --max of each state', async () => {
      await courier.bulkAddTasksToQueue(
        'many',
        Array.from({ length: 30 }, (_, n) => n),
      );
      expect((await queue('list', '--json', '--max', '7')).results.length).toBe(7);
    });

    it('puts dead letters back: those that are named, or all of the queue', async () => {
      await fill();
      expect(await queue('redrive', '--queue', 'mails', 'dead', 'waits')).toMatchObject({
        code: 1,
        stdout: '1 redriven\n',
      });
      expect(await courier.getQueueInfo('mails')).toMatchObject({ deadLetters: 0, waiting: { critical: 1 } });
      const again = await courier.getTask('mails');
      if (again !== undefined) await courier.returnTaskError('mails', again, new Error('again'));
      expect(await queue('redrive', '--queue', 'mails', '--json')).toMatchObject({
        code: 0,
        stdout: '{"redriven":1}\n',
      });
    });

    it('cancels tasks, and says which it could not', async () => {
      await fill();
      const end = await queue('cancel', '--queue', 'mails', 'waits', 'held', 'done', 'never');
      expect(end.code).toBe(1);
      expect(end.stdout).toBe(
        'waits: canceled\nheld: canceled\n' +
          'done: not canceled: it has ended, or there is none\nnever: not canceled: it has ended, or there is none\n',
      );
      const { results } = await queue('list', '--state', 'canceled', '--json');
      expect(results).toHaveLength(2);
      // In either order: both may have ended in the same millisecond.
      for (const id of ['waits', 'held']) expect(results).toContainEqual(expect.objectContaining({ id }));
    });

    it('exports all tasks, page by page, and dead letters with their data', async () => {
      await fill();
      await courier.bulkAddTasksToQueue(
        'many',
        Array.from({ length: 1_100 }, (_, n) => n),
      );
      const { results } = await taskwarden(['queue', ...place.args('export')]);
      expect(results.length).toBe(1_105);
      expect(results).toContainEqual(
        expect.objectContaining({
          queue: 'mails',
          id: 'dead',
          state: 'failed',
          data: { function: 'send', args: ['ann'] },
        }),
      );
      expect((await queue('export', '--state', 'waiting', '--queue', 'mails')).results).toMatchObject([
        { id: 'waits' },
      ]);
    });

    it('ends quietly when nobody reads any more', async () => {
      await courier.bulkAddTasksToQueue(
        'many',
        Array.from({ length: 2_500 }, (_, n) => n),
      );
      const command = new Command(['queue', ...place.args('export')]);
      await command.says('stdout', '{');
      command.process.stdout?.destroy();
      expect(await command.end()).toMatchObject({ code: 0, stderr: '' });
    });

    it('has looked, and changed nothing', async () => {
      await fill();
      const before = await courier.getQueueInfo('mails');
      for (const action of ['info', 'list', 'export']) await queue(action);
      expect(await courier.getQueueInfo('mails')).toEqual(before);
    });
  });
}
