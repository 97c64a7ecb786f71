/** A thread without a library: calls one function with each message, and answers with what it returns. */
import { parentPort, workerData } from 'node:worker_threads';

const { [workerData]: fn } = await import('./work.mjs');
parentPort.on('message', (value) => parentPort.postMessage(fn(value)));
