import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import PQueue from 'p-queue';
import { report, threads } from './report.mjs';

export function run(job, inputsFile) {
  return report(inputsFile, (inputs) => {
    const thread = new URL('./thread.mjs', import.meta.url);
    const idle = Array.from({ length: threads }, () => new Worker(thread, { workerData: job }));
    const queue = new PQueue({ concurrency: threads });
    return queue.addAll(
      inputs.map((input) => async () => {
        const worker = idle.pop();
        worker.postMessage(input);
        const [result] = await once(worker, 'message');
        idle.push(worker);
        return result;
      }),
    );
  });
}
