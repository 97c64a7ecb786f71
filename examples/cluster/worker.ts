/** One worker of the cluster: a process that takes tasks from the queue, and runs them on two threads of its own. */
import { ClassicWorker, type CourierTask, type CourierTaskContext, TaskSupervisor } from 'taskwarden';
import { BullMQTaskCourier } from 'taskwarden/bullmq';
import { checksum, type FileSums } from '../checksums/files.ts';
import { leaseMs, queueName } from './queue.ts';

/** What a task comes to: who did it is for the report of the client. */
export interface Done {
  readonly worker: string;
  /** More than 1 if a worker had it before, and died. */
  readonly attempt: number;
  readonly sums: FileSums;
}

const [, , name = '', url = '', prefix = ''] = process.argv;
const courier = new BullMQTaskCourier(url, { prefix, leaseMs });
const supervisor = new TaskSupervisor({ name, threads: { poolSize: 2, minSize: 2 } });

class ChecksumWorker extends ClassicWorker {
  override async performSingleTask(task: CourierTask, context: CourierTaskContext): Promise<Done> {
    const sums = (await super.performSingleTask(task, context)) as FileSums;
    return { worker: name, attempt: task.attempt, sums };
  }
}

// More in flight than threads, so that these need not wait for the next one to be fetched.
const worker = new ChecksumWorker({ queueName, courier, supervisor, functions: { checksum }, maxSimultaneousTasks: 8 });

/** What is in flight is finished and returned first. */
const stop = () => worker.stop();
process.on('SIGTERM', stop).on('SIGINT', stop).on('disconnect', stop);

await supervisor.ready();
process.send?.('ready');
await worker.perform();
await supervisor.stop();
await courier.close();
if (process.connected) process.disconnect();
