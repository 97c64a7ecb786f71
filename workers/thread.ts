/** The program of a thread: called once, with a port for all messages of each of its slots. */
import { receiveMessageOnPort } from 'node:worker_threads';
import { ControlBlock } from '../src/lanes/wire/control-block.ts';
import type { HostMessage, HostReply, HostStart, ThreadStart } from '../src/lanes/wire/protocol.ts';
import { structuredClone } from '../src/platform/globals.ts';
import { becomeHost } from '../src/task/definition/load-phase.ts';
import type { Transferable } from '../src/task/inside/transferred.ts';
import { HostRuntime } from './host-runtime.ts';
import { lowerPriority } from './system-priority.ts';

export function start({ slots, ...rest }: ThreadStart): void {
  becomeHost();
  lowerPriority(rest.nice);
  const [first] = slots.map((slot) => listen(slot, rest));
  process.on('uncaughtExceptionMonitor', (error) => {
    if (process.listenerCount('uncaughtException') === 0) first?.crash(error); // else the module handles it
  });
}

/** A slot runs one task at a time, and knows nothing of the others. */
function listen({ port, control }: ThreadStart['slots'][number], rest: HostStart): HostRuntime {
  const post = (reply: HostReply, transfer: readonly Transferable[] = []) => port.postMessage(reply, transfer);
  const poll = () => {
    let received: { readonly message: HostMessage } | undefined;
    try {
      received = receiveMessageOnPort(port);
    } catch (error) {
      runtime.onUnreadable(error); // the message is removed from the port all the same
      return true;
    }
    if (received !== undefined) runtime.receive(received.message);
    return received !== undefined;
  };
  const runtime = new HostRuntime({
    post,
    poll,
    readBack: structuredClone,
    control: new ControlBlock(control),
    ...rest,
  });
  port.on('messageerror', (error) => runtime.onUnreadable(error));
  port.on('message', (message: HostMessage) => runtime.receive(message));
  return runtime;
}
