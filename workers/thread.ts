/** What a thread of the thread lane runs: Piscina calls it once, with the port on which everything else travels. */
import type { MessagePort } from 'node:worker_threads';
import { ControlBlock } from '../src/lanes/control-block.ts';
import type { HostMessage, HostReply, HostStart } from '../src/lanes/protocol.ts';
import { becomeHost } from '../src/task/inert.ts';
import type { Transferable } from '../src/task/transferred.ts';
import { HostRuntime } from './host-runtime.ts';

export default function start({ port, control, idPrefix }: HostStart<MessagePort>): void {
  becomeHost();
  const post = (reply: HostReply, transfer: readonly Transferable[] = []) => port.postMessage(reply, transfer);
  const runtime = new HostRuntime(post, new ControlBlock(control), idPrefix);
  process.on('uncaughtExceptionMonitor', (error) => runtime.crash(error));
  port.on('message', (message: HostMessage) => runtime.receive(message));
}
