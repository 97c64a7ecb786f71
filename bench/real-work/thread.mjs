/** A thread without a library, for the queue. */
import { parentPort, workerData } from 'node:worker_threads';

const { work } = await import(workerData);
parentPort.on('message', (input) => parentPort.postMessage(work(input)));
