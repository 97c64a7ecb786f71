/**
 * Servers in trouble, under load: each trouble once. For some minutes, as they come:
 * CHAOS_MINUTES=10 CHAOS_SEED=<seed> npm run test:soak -- server-troubles
 */
import { describe, it } from 'vitest';
import { postgresTroubles } from '../chaos/postgres-troubles.ts';
import { redisTroubles } from '../chaos/redis-troubles.ts';
import { type ChaosOptions, postgresChaos, redisChaos } from '../chaos/server-chaos.ts';

const minutes = Number(process.env['CHAOS_MINUTES'] ?? 0);
const seed = Number(process.env['CHAOS_SEED'] ?? Math.floor(Math.random() * 2 ** 31));
const timeout = (10 + minutes * 1.5) * 60_000;

function* random(names: readonly string[]): Generator<string> {
  const until = Date.now() + minutes * 60_000;
  for (let state = seed; Date.now() < until; ) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0; // Numerical Recipes
    yield names[Math.floor((state / 2 ** 32) * names.length)] as string;
  }
}

function options(troubles: object): ChaosOptions {
  const tell = (line: string) => console.log(line);
  if (minutes === 0) return { tell };
  tell(`server troubles: seed ${seed}`);
  return { tell, names: random(Object.keys(troubles)) };
}

describe('all who use a server that is in trouble come back by themselves, lose nothing and settle nothing twice', () => {
  it('on Redis', { timeout }, () => redisChaos(options(redisTroubles)));

  it('on PostgreSQL', { timeout }, () => postgresChaos(options(postgresTroubles)));
});
