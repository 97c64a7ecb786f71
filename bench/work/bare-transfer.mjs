import { parentPort } from 'node:worker_threads';

parentPort.on('message', (buffer) => {
  new Uint8Array(buffer)[0] += 1;
  parentPort.postMessage(buffer, [buffer]);
});
