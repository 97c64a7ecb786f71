/** The program of the thread that has the database of a courier. */
import { realpathSync } from 'node:fs';
import { BroadcastChannel, type MessagePort, parentPort, workerData } from 'node:worker_threads';
import type { DriverName } from './driver.ts';
import type { StoreSettings, ToThread } from './protocol.ts';
import { Store } from './store/store.ts';

const { settings, driver } = workerData as { readonly settings: StoreSettings; readonly driver: DriverName };
const port = parentPort as MessagePort;

/** The stores of this program that have the same file. */
let siblings: BroadcastChannel | undefined;

const store = new Store({
  settings,
  driver,
  send: (what) => port.postMessage(what),
  committed: () => {
    siblings ??= meet();
    siblings.postMessage(0);
  },
});

function meet(): BroadcastChannel {
  const channel = new BroadcastChannel(`taskwarden/sqlite:${realpathSync(settings.path)}`);
  channel.onmessage = () => store.onCommitted();
  channel.unref();
  return channel;
}

/** What has come since the last turn of the loop is performed together. */
let received: ToThread[] = [];

port.on('message', (messages: readonly ToThread[]) => {
  if (received.length === 0) setImmediate(perform);
  received.push(...messages);
});

function perform(): void {
  const messages = received;
  received = [];
  store.receive(messages);
  if (!messages.some((message) => 'close' in message)) return;
  siblings?.close();
  store.close();
  port.close();
}
