/** The other side of a lane, without a thread: what it runs, and what it says in which order. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { ControlBlock } from '../../src/lanes/wire/control-block.ts';
import { encodeThrown } from '../../src/lanes/wire/error-codec.ts';
import type { HostReply, RunMessage } from '../../src/lanes/wire/protocol.ts';
import { wireDefinition } from '../../src/task/definition/definition.ts';
import { defineBySource } from '../../src/task/definition/definition-registry.ts';
import { currentTask } from '../../src/task/inside/context.ts';
import { HostRuntime } from '../../workers/host-runtime.ts';

/** What the function, which is made from its source, calls. */
const here = globalThis as { hostRuntimeTest?: (what: unknown) => unknown };

const define = wireDefinition(
  defineBySource('f', (what: unknown) =>
    (globalThis as { hostRuntimeTest?: (what: unknown) => unknown }).hostRuntimeTest?.(what),
  ),
);

function refuse(): never {
  throw Object.create(null);
}

/** A list of arguments for each item; null where they follow. */
type Args = readonly (readonly unknown[] | null)[];

class Scene {
  readonly control = new ControlBlock();
  readonly replies: HostReply[] = [];
  readonly calls: unknown[] = [];
  readonly runtime: HostRuntime;
  #isDefined = false;

  constructor(act: (what: unknown) => unknown = (what) => what, batchMs = Infinity) {
    here.hostRuntimeTest = (what) => {
      this.calls.push(what);
      return act(what);
    };
    this.runtime = new HostRuntime({
      post: (reply) => this.replies.push(structuredClone(reply)),
      control: this.control,
      poll: () => false,
      readBack: structuredClone,
      idPrefix: 'p-',
      batchMs,
      maxHeapMb: Infinity,
    });
  }

  /** The number of the first item of the next batch. */
  first = 0;

  message(args: Args, more: Partial<RunMessage> = {}): RunMessage {
    const message: RunMessage = {
      kind: 'run',
      definition: define.index,
      name: 'f',
      first: this.first,
      items: args.length,
      ids: 0,
      args,
      ...more,
    };
    return this.#isDefined ? message : { ...message, define };
  }

  /** Loads the function. */
  async warm(): Promise<this> {
    this.runtime.receive(this.message([['warm']]));
    while (this.replies.length < 2) await nextTurn();
    this.#isDefined = true;
    this.first = 1;
    this.replies.length = 0;
    this.calls.length = 0;
    return this;
  }

  async run(args: Args, more: Partial<RunMessage> = {}): Promise<void> {
    this.runtime.receive(this.message(args, more));
    await nextTurn();
  }
}

describe('a batch', () => {
  it('runs its items in their order, and says once that it is over', async () => {
    const scene = await new Scene().warm();
    await scene.run([[1], [true], [null], [2.5]]);
    expect(scene.calls).toEqual([1, true, null, 2.5]);
    expect([0, 1, 2, 3].map((item) => scene.control.result(1 + item))).toEqual([1, true, null, 2.5]);
    expect(scene.replies).toEqual([{ kind: 'done', end: 5 }]);
  });

  it('is over with what its last item came to, where that takes a message', async () => {
    const scene = await new Scene().warm();
    await scene.run([[1], ['a'], [2], ['b']]);
    expect(scene.replies).toMatchObject([
      { kind: 'result', item: 2, value: 'a' },
      { kind: 'result', item: 4, value: 'b' },
    ]);
  });

  it('passes an item that was withdrawn, also the last', async () => {
    const scene = await new Scene().warm();
    const message = scene.message([['a'], ['b'], ['c']]);
    scene.control.withdraw(1);
    scene.control.withdraw(3);
    scene.runtime.receive(message);
    await nextTurn();
    expect(scene.calls).toEqual(['b']);
    expect(scene.replies).toMatchObject([{ kind: 'result', item: 2, value: 'b' }, { kind: 'done' }]);
  });

  it('waits for the arguments that come apart, and keeps their places', async () => {
    const scene = await new Scene().warm();
    await scene.run([['a'], null, ['c'], null]);
    expect(scene.calls).toEqual([]);
    scene.runtime.receive({ kind: 'args', args: [{ n: 1 }] });
    await nextTurn();
    expect(scene.calls).toEqual([]);
    scene.runtime.receive({ kind: 'args', args: [new Uint8Array([1])], buffers: [0] });
    await nextTurn();
    expect(scene.calls).toEqual(['a', { n: 1 }, 'c', Buffer.from([1])]);
    expect(Buffer.isBuffer(scene.calls[3])).toBe(true);
  });

  it('fails the item alone whose arguments can not be read', async () => {
    const scene = await new Scene().warm();
    await scene.run([[1], null, null, [4]]);
    scene.runtime.onUnreadable(new Error('unreadable'));
    scene.runtime.receive({ kind: 'args', args: [3] });
    await nextTurn();
    expect(scene.calls).toEqual([1, 3, 4]);
    expect(scene.replies).toMatchObject([{ kind: 'unread', item: 2 }, { kind: 'done' }]);
  });

  it('says what an item came to before the next begins', async () => {
    const order: string[] = [];
    const scene = await new Scene((what) => {
      order.push(`${String(what)} begins after ${scene.replies.length} replies`);
      return what;
    }).warm();
    order.length = 0;
    await scene.run([['a'], ['b'], ['c']]);
    expect(order).toEqual(['a begins after 0 replies', 'b begins after 1 replies', 'c begins after 2 replies']);
  });

  it('fails each item for itself', async () => {
    const scene = await new Scene((what) => {
      if (what === 'throws') throw new RangeError('no');
      return what === 'function' ? () => {} : what;
    }).warm();
    await scene.run([['throws'], ['function'], [1], ['throws']]);
    expect(scene.replies).toMatchObject([
      { kind: 'thrown', item: 1 },
      { kind: 'uncloneable', item: 2 },
      { kind: 'thrown', item: 4 },
    ]);
    expect(scene.control.result(3)).toBe(1);
  });

  it.each([
    ['for its prototype', { getPrototypeOf: refuse }],
    ['whether it has something', { has: refuse }],
    ['for its keys', { ownKeys: refuse }],
  ])('fails an item alone whose result throws when it is asked %s', async (_, traps) => {
    const scene = await new Scene((what) => (what === 'proxy' ? new Proxy({}, traps) : what)).warm();
    await scene.run([['proxy'], [1]]);
    expect(scene.replies).toMatchObject([{ kind: 'uncloneable', item: 1 }, { kind: 'done' }]);
    expect(scene.control.result(2)).toBe(1);
  });

  it('gives the rest back when its time is over', async () => {
    const scene = await new Scene((what) => what, -1).warm();
    await scene.run([[1], [2], [3]]);
    expect(scene.calls).toEqual([]);
    expect([0, 1, 2].map((item) => scene.control.state(1 + item))).toEqual(['waiting', 'waiting', 'waiting']);
    expect(scene.replies).toEqual([{ kind: 'done', end: 4 }]);
  });

  it('waits for an item that is not done, and a stop reaches that item alone', async () => {
    let resolve = (_: unknown) => {};
    let signal: AbortSignal | undefined;
    const scene = await new Scene((what) => {
      if (what !== 'waits') return what;
      signal = currentTask().signal;
      return new Promise((done) => {
        resolve = done;
      });
    }).warm();
    await scene.run([['a'], ['waits'], ['c']]);
    expect(scene.calls).toEqual(['a', 'waits']);
    const stop = (item: number) =>
      scene.runtime.receive({ kind: 'stop', isFinal: true, item, reason: encodeThrown(`stop ${item}`) });
    stop(1);
    stop(3);
    expect(signal?.aborted).toBe(false);
    stop(2);
    expect(signal?.reason).toBe('stop 2');
    resolve('b');
    await nextTurn();
    expect(scene.replies.map((reply) => ('value' in reply ? reply.value : reply.kind))).toEqual(['a', 'b', 'c']);
  });
});
