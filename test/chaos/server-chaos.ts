/** A server in one trouble after the other, under load, with some who are stopped in the middle of each. */
import { setTimeout as pause } from 'node:timers/promises';
import { expect } from 'vitest';
import { postgresTroubles, TroubledPostgres } from './postgres-troubles.ts';
import { redisTroubles, TroubledRedis } from './redis-troubles.ts';
import { Bystanders } from './server-bystanders.ts';
import { Load, type LoadOptions } from './server-load.ts';
import type { Trouble, TroubledServer, Troubles } from './troubled-server.ts';

const troubleMs = 3_000;
/** All go on by then: the longest is a connection that fell silent, which is noticed after 15 seconds. */
const progressMs = 40_000;
/** Who is told to stop within half a second has stopped by then, on a slow machine, too. */
const stopMs = 9_000;
/** After so many there is no more to learn. */
const mostViolations = 10;

export interface ChaosOptions {
  /** In this order. Default: each once. */
  readonly names?: Iterable<string>;
  readonly tell?: (line: string) => void;
}

export async function redisChaos(options: ChaosOptions = {}): Promise<void> {
  await using server = await TroubledRedis.start();
  const feeder = server.admin.duplicate();
  feeder.on('error', () => {}); // a server that is away comes back
  try {
    await survive(server, redisTroubles, { url: server.url, prefix: 'chaos', feeder }, options);
  } finally {
    feeder.disconnect();
  }
}

export async function postgresChaos(options: ChaosOptions = {}): Promise<void> {
  await using server = await TroubledPostgres.start();
  await survive(server, postgresTroubles, { url: server.url, prefix: 'chaos' }, options);
}

async function survive<S extends TroubledServer>(
  server: S,
  troubles: Troubles<S>,
  options: LoadOptions,
  { names = Object.keys(troubles), tell = () => {} }: ChaosOptions,
): Promise<void> {
  const load = new Load(options);
  load.start();
  await load.progress(progressMs);
  let count = 0;
  for (const name of names) {
    count += 1;
    const before = load.violations.length;
    const { troubledMs, healedMs } = await withTrouble(server, troubles[name] as Trouble<S>, load, options);
    tell(`${name}: for ${troubledMs} ms, all went on after ${healedMs} ms`);
    for (let n = before; n < load.violations.length; n += 1) load.violations[n] = `${name}: ${load.violations[n]}`;
    if (load.violations.length > mostViolations) break;
  }
  await load.finish(progressMs);
  tell(`${count} troubles, ${JSON.stringify(load.counts)}`);
  expect(load.violations).toEqual([]);
}

async function withTrouble<S extends TroubledServer>(
  server: S,
  { begin, isTotal = false }: Trouble<S>,
  load: Load,
  options: LoadOptions,
): Promise<{ troubledMs: number; healedMs: number }> {
  const bystanders = await Bystanders.start(options);
  const told = { ...load.told };
  const letGo = await load.holdTasks(progressMs);
  const from = Date.now();
  const end = await begin(server);
  letGo(); // each worker has a result to return now, and so notices
  const stopped = bystanders.stop(stopMs);
  await pause(troubleMs);
  await end();
  const late = await stopped;
  if (late.length > 0) load.violations.push(`not in time: ${late}`);
  const to = Date.now();
  await load.progress(progressMs);
  for (const queue of ['tasks', 'items'] as const) {
    const times = load.told[queue] - told[queue];
    // Once; but where it begins and ends, what was under way may still be answered, or not yet.
    if (isTotal && times > 2) load.violations.push(`the worker of ${queue} told ${times} times of it`);
    // Who has paused since the trouble before has not seen the end of that.
    if (isTotal && load.told[queue] === 0) load.violations.push(`the worker of ${queue} told nothing of it`);
  }
  return { troubledMs: to - from, healedMs: Date.now() - to };
}
