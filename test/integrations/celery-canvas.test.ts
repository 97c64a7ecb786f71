/** Chains, groups, chords and callbacks that Python makes, with tasks of workers in Python and in Node. */
import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type RunningNode, startNode } from '../fixtures/celery/celery-node.ts';
import { add, echo, fail, flaky, sum } from '../fixtures/celery/node-tasks.ts';
import { diaryOf, PythonProgram, startCelery } from '../servers/celery.ts';
import { startRedis } from '../servers/redis.ts';
import type { Server } from '../servers/server.ts';

let redis: Server;
let direct: Redis;
let python: Server;
let program: PythonProgram;
let node: RunningNode;

beforeAll(async () => {
  redis = await startRedis();
  direct = new Redis(redis.url);
  python = await startCelery({ broker: redis.url, pool: 'threads', concurrency: 4 });
  program = await PythonProgram.start(python);
  const functions = { 'node.add': add, 'node.sum': sum, 'node.echo': echo, 'node.fail': fail, 'node.flaky': flaky };
  node = startNode({ broker: redis.url, queues: ['node'], functions });
  await program.evaluate(`globals().update({
    'p': lambda name, *args, **options: app.signature('proj.' + name, args=args, options=options),
    'n': lambda name, *args, **options: app.signature('node.' + name, args=args, options={'queue': 'node', **options}),
  })`);
}, 60_000);

afterAll(async () => {
  await node?.stop();
  await program?.[Symbol.asyncDispose]();
  await python?.stop();
  direct?.disconnect();
  await redis?.stop();
});

function evaluate(expression: string): Promise<unknown> {
  return program.evaluate(expression);
}

const diary = () => diaryOf(python);

describe('a chain', () => {
  it('goes from Python to Node and back to Python', async () => {
    expect(await evaluate(`outcome(chain(p('add', 1, 2), n('add', 10), p('add', 100)).delay())`)).toBe(113);
    expect(await evaluate(`outcome(chain(n('sum', 1, 2), n('sum', 3), p('add', 4), n('sum', 5)).delay())`)).toBe(15);
  });

  it('gives a task that wants no result only its own arguments', async () => {
    expect(await evaluate(`outcome(chain(n('sum', 1, 2), p('add', 3, 4).set(immutable=True)).delay())`)).toBe(7);
  });

  it('goes on after a retry', async () => {
    expect(await evaluate(`outcome(chain(n('flaky', 1), p('add', 40)).delay())`)).toBe(42);
  });

  it('fails as a whole with the error of one', async () => {
    expect(await evaluate(`outcome(chain(n('fail', 'broken'), p('add', 1), n('sum', 2)).delay())`)).toMatchObject({
      error: 'RangeError',
      message: 'broken',
    });
  });

  it('ends with a group', async () => {
    const tasks = `chain(n('sum', 1, 2), group(p('add', 10), n('sum', 20), p('add', 30)))`;
    expect(await evaluate(`outcome(${tasks}.delay())`)).toEqual([13, 23, 33]);
  });

  it('has a chord in its middle', async () => {
    const tasks = `chain(n('sum', 1, 2), group(n('sum', 10), p('add', 20)), n('echo', 'body'), p('echo'))`;
    expect(await evaluate(`outcome(${tasks}.delay())`)).toEqual([[[[13, 23], 'body']], {}]);
  });
});

describe('callbacks', () => {
  it('get the result, and their ids are the children of it', async () => {
    await evaluate(
      `outcome(n('sum', 1, 2).apply_async(link=[p('nap', 'linked').set(args=[0]), p('nap', 0, 'two').set(immutable=True)]))`,
    );
    await expect.poll(diary, { timeout: 20_000 }).toContain('woke two');
    expect(
      await evaluate(
        `[list(map(outcome, r.children)) for r in [n('sum', 1, 2).apply_async(link=[p('add', 1)])] if outcome(r)]`,
      ),
    ).toEqual([[4]]);
  });

  it('of errors are called with the id of the task', async () => {
    const id = await evaluate(`n('fail', 'x').apply_async(link_error=p('late', 'given').set(queue='errors')).id`);
    await expect.poll(() => direct.llen('errors')).toBe(1);
    const { body, headers } = JSON.parse((await direct.rpop('errors')) as string);
    expect(JSON.parse(Buffer.from(body, 'base64').toString()).slice(0, 2)).toEqual([[id, 'given'], {}]);
    expect(headers).toMatchObject({ task: 'proj.late', parent_id: id, root_id: id });
  });
});

describe('a group', () => {
  it('gives the results of both', async () => {
    expect(
      await evaluate(`outcome(group([n('sum', i, i) if i % 2 else p('add', i, i) for i in range(8)]).delay())`),
    ).toEqual([0, 2, 4, 6, 8, 10, 12, 14]);
  });
});

describe('a chord', () => {
  it('has its header in Node and Python, whichever ends last, and its body in either', async () => {
    const header = `[n('sum', i, i) if i % 2 else p('add', i, i) for i in range(8)]`;
    const results = [0, 2, 4, 6, 8, 10, 12, 14];
    expect(await evaluate(`outcome(chord(${header}, n('echo')).delay())`)).toEqual([results]);
    expect(await evaluate(`outcome(chord(${header}, p('echo')).delay())`)).toEqual([[results], {}]);
    expect(await evaluate(`outcome(chord([n('sum', i, i) for i in range(5)], n('echo')).delay())`)).toEqual([
      [0, 2, 4, 6, 8],
    ]);
  });

  it('has chains in its header', async () => {
    const tasks = `chord([chain(n('sum', 1, 2), p('add', 3)), chain(p('add', 1, 2), n('sum', 4))], n('echo', 'end'))`;
    expect(await evaluate(`outcome(${tasks}.delay())`)).toEqual([[6, 7], 'end']);
  });

  it('fails with ChordError when a task of its header fails', async () => {
    const failed = { error: 'ChordError', message: expect.stringMatching(/raised RangeError\('?no'?\)/) };
    const outcome = (tasks: string) => evaluate(`outcome(app.AsyncResult(${tasks}.delay().id))`);
    expect(await outcome(`chord([n('sum', 1, 2), n('fail', 'no')], p('echo'))`)).toMatchObject(failed);
    expect(await outcome(`chord([n('fail', 'no'), p('add', 1, 2)], n('echo'))`)).toMatchObject(failed);
    expect(await outcome(`chord([chain(n('fail', 'no'), p('add', 2)), p('add', 1, 2)], n('echo'))`)).toMatchObject(
      failed,
    );
  });

  it('or another signature that can not be sent from Node is refused with the reason, before the task runs', async () => {
    const refused = { error: 'NotImplementedError', message: expect.stringContaining("a CeleryWorker can't send") };
    const link = (signature: string) => evaluate(`outcome(n('sum', 1, 2).apply_async(link=${signature}))`);
    expect(await link(`app.signature('celery.map', subtask_type='xmap')`)).toMatchObject(refused);
    expect(await link(`group(n('sum', 1), chord([n('sum', 2)], n('echo')))`)).toMatchObject(refused);
  });
});
