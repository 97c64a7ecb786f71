/**
 * Prints what hosts print. A slow reader slows the hosts down; if nobody reads any more, the output is lost, and no host
 * waits. A stream has one listener, however many hosts wait for it.
 */
import type { Readable } from 'node:stream';

/** The streams of hosts that wait until a stream of this process drains. */
const waiting = new WeakMap<NodeJS.WriteStream, Set<Readable>>();

export function forwardOutput(printed: Readable, name: 'stdout' | 'stderr'): void {
  printed.on('data', (chunk: Buffer) => {
    const stream = process[name];
    if (stream.writable && !stream.write(chunk) && stream.writable) hold(printed, stream);
  });
  printed.on('error', () => {}); // its host has died
  printed.resume(); // it was paused if it was piped elsewhere before
}

function hold(printed: Readable, stream: NodeJS.WriteStream): void {
  printed.pause();
  const others = waiting.get(stream);
  if (others !== undefined) {
    others.add(printed);
    return;
  }
  const all = new Set([printed]);
  waiting.set(stream, all);
  const release = () => {
    waiting.delete(stream);
    stream.off('drain', release);
    stream.off('close', release);
    for (const each of all) each.resume();
  };
  stream.on('drain', release);
  stream.on('close', release); // it is broken, and will never drain
}
