/**
 * What hosts print is printed by this process. Who is slow to read that slows the hosts down; if nobody reads it any more,
 * it is lost, and no host waits for that. However many hosts wait for a stream, it has one listener for them.
 */
import type { Readable } from 'node:stream';

/** The hosts' streams that wait until one of ours takes more. */
const waiting = new WeakMap<NodeJS.WriteStream, Set<Readable>>();

export function forwardOutput(printed: Readable, name: 'stdout' | 'stderr'): void {
  printed.on('data', (chunk: Buffer) => {
    const stream = process[name];
    if (stream.writable && !stream.write(chunk) && stream.writable) hold(printed, stream);
  });
  printed.on('error', () => {}); // its host has died
  printed.resume(); // one that went elsewhere before was paused as it was taken from there
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
  stream.on('close', release); // it has broken, and takes no more
}
