/**
 * The program that does the orders, 32 at a time, until it is asked to end. Each order takes two steps. It may be killed at
 * any moment.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { backgroundTask, ClassicWorker, currentTask, TaskSupervisor } from 'taskwarden';
import { Ledger } from './ledger.ts';
import { openCourier, queueName, steps } from './queue.ts';

const [, , file = '', ledgerFile = ''] = process.argv;
const ledger = new Ledger(ledgerFile);
const atOnce = 32;

const order = backgroundTask(
  async function order(number: number): Promise<string> {
    const task = currentTask();
    const receipts: string[] = [];
    for (const name of steps) {
      const receipt = await task.step(name, async () => {
        await sleep(Math.random() * 4); // the other side takes its time
        ledger.note(name, task.idempotencyKey);
        return `${name} ${number}`;
      });
      receipts.push(receipt);
    }
    return receipts.join(', ');
  },
  { type: 'loop' },
);

const courier = openCourier(file);
const supervisor = new TaskSupervisor({ loop: { poolSize: atOnce } });
const worker = new ClassicWorker({
  courier,
  supervisor,
  queueName,
  functions: { order },
  maxSimultaneousTasks: atOnce,
});

const stop = () => worker.stop();
process.on('SIGTERM', stop).on('SIGINT', stop).on('disconnect', stop);
await worker.perform();
await supervisor.stop();
await courier.close();
if (process.connected) process.disconnect();
