/** A batch in its host, with a host that does only what the test says. */
import { describe, expect, it } from 'vitest';
import { PooledHost } from '../../src/lanes/host-pool/pooled-host.ts';
import { HostConnection } from '../../src/lanes/hosts/host-connection.ts';
import { Suspects } from '../../src/lanes/hosts/suspects.ts';
import type { Lane, LaneListener, LaneOutcome, LaneTask } from '../../src/lanes/lane.ts';
import { ControlBlock } from '../../src/lanes/wire/control-block.ts';
import { encodeThrown } from '../../src/lanes/wire/error-codec.ts';
import type { HostMessage, ItemReply } from '../../src/lanes/wire/protocol.ts';
import { resolveTaskOptions } from '../../src/task/call/task-options.ts';
import { defineBySource } from '../../src/task/definition/definition-registry.ts';

const definition = defineBySource('f', () => {});
const exit = { exitCode: 1, signal: undefined, cause: undefined };

class Scene implements LaneListener<LaneTask> {
  readonly control = new ControlBlock();
  readonly posted: HostMessage[] = [];
  readonly told: string[] = [];
  readonly connection: HostConnection<LaneTask> = new HostConnection<LaneTask>(this, new PooledHost());
  readonly tasks: readonly LaneTask[];
  /** Called as an end is told. */
  onEnded: (task: LaneTask) => void = () => {};

  constructor(...args: readonly (readonly unknown[])[]) {
    const options = resolveTaskOptions({}, 'it');
    this.tasks = args.map((own, sequence) => ({
      id: `${sequence}`,
      sequence,
      name: 'f',
      definition,
      options,
      args: own,
      attempt: 0,
      runInScope: (call) => call(),
    }));
    this.connection.host = {
      id: 5,
      control: this.control,
      post: (message) => void this.posted.push(structuredClone(message)),
      end: () => {},
    };
    this.connection.owner.wasUp = true;
    // A first batch, which tells it the definition.
    this.connection.take(this.tasks.slice(0, 1));
    this.connection.post();
    this.connection.onLoaded();
    this.told.length = 0;
    this.connection.take(this.tasks);
  }

  /** Hands the batch over. */
  go(): this {
    this.posted.length = 0;
    this.refused = this.connection.post().map(({ task }) => task.id);
    this.connection.onBegun();
    return this;
  }

  /** The number of the n-th task of the batch. */
  item(n: number): number {
    return this.connection.end - this.connection.size + n;
  }

  hear(reply: ItemReply): void {
    this.connection.conclude(this.connection.read({ ...reply, item: this.item(reply.item) }));
  }

  begin(n: number): boolean {
    return this.control.begin(this.item(n), 1);
  }

  finishByMessage(n: number): void {
    this.control.finishByMessage(this.item(n), 2);
  }

  refused: readonly string[] = [];

  run(n: number, result?: unknown): void {
    this.begin(n);
    if (!this.control.finish(this.item(n), result, 2)) this.finishByMessage(n);
  }

  ids(tasks: Iterable<LaneTask>): readonly string[] {
    return [...tasks].map(({ id }) => id);
  }

  started(task: LaneTask): void {
    this.told.push(`${task.id} started`);
  }

  ended(task: LaneTask, outcome: LaneOutcome): void {
    this.told.push(`${task.id} ${outcome.kind}${outcome.kind === 'result' ? ` ${String(outcome.value)}` : ''}`);
    this.onEnded(task);
  }

  progress(task: LaneTask): void {
    this.told.push(`${task.id} progress`);
  }

  returned(): void {}
  slotTaken(): void {}

  slotReleased(_: Lane<LaneTask>): void {}
  prefetchedBegan(task: LaneTask): void {
    this.told.push(`${task.id} follows`);
  }

  prefetchedReturned(task: LaneTask): void {
    this.told.push(`${task.id} returned`);
  }

  idleHostExited(): void {}
  message(): void {}
}

const four = [[1], [2], [3], [4]] as const;

describe('update()', () => {
  it('tells in order what has ended, and what runs', () => {
    const scene = new Scene(...four).go();
    scene.run(0, 10);
    scene.run(1, 11);
    scene.begin(2);
    scene.connection.reportChanges();
    expect(scene.told).toEqual(['0 started', '0 result 10', '1 started', '1 result 11', '2 started']);
    expect(scene.ids(scene.connection)).toEqual(['2', '3']);
  });

  it('waits for the message that says what one came to, and tells none behind it before', () => {
    const scene = new Scene(...four).go();
    scene.run(0, 'text');
    scene.run(1, 11);
    scene.connection.reportChanges();
    expect(scene.told).toEqual(['0 started']);
    scene.hear({ kind: 'result', item: 0, value: 'text', isBuffer: false });
    expect(scene.told).toEqual(['0 started', '0 result text', '1 started', '1 result 11']);
  });

  it('tells each once, though who hears of one asks for the others', () => {
    const scene = new Scene(...four).go();
    scene.onEnded = () => scene.connection.reportChanges();
    for (const item of [0, 1, 2, 3]) scene.run(item, item);
    scene.connection.reportChanges();
    scene.connection.reportChanges();
    expect(scene.told.filter((line) => line.includes('result'))).toEqual([0, 1, 2, 3].map((n) => `${n} result ${n}`));
    expect(scene.told).toHaveLength(8);
  });

  it('tells the end of the last one with the message that it is over, and not before', () => {
    const scene = new Scene(...four).go();
    scene.run(0, 'text');
    for (const item of [1, 2, 3]) scene.run(item, item);
    scene.hear({ kind: 'result', item: 0, value: 'text', isBuffer: false });
    expect(scene.told.at(-1)).toBe('3 started');
    scene.connection.checkDone();
    expect(scene.told.at(-1)).toBe('3 result 3');
  });

  it('passes one that was withdrawn', () => {
    const scene = new Scene(...four).go();
    expect(scene.connection.withdraw(scene.tasks[1] as LaneTask)).toBe(true);
    scene.run(0, 10);
    scene.begin(2);
    scene.connection.reportChanges();
    expect(scene.told).toEqual(['0 started', '0 result 10', '1 withdrawn', '2 started']);
  });
});

describe('recall()', () => {
  it('takes back what has not begun, and leaves what runs', () => {
    const scene = new Scene(...four).go();
    scene.run(0, 10);
    scene.begin(1);
    expect(scene.ids(scene.connection.recall())).toEqual(['2', '3']);
    expect(scene.told).toEqual(['0 started', '0 result 10', '1 started']);
    expect([2, 3].map((item) => scene.begin(item))).toEqual([false, false]);
    expect(scene.connection.recall()).toEqual([]);
  });

  it('takes back the next, too, where none runs: the host may end its batch before that, and its start is told once', () => {
    const scene = new Scene(...four).go();
    scene.run(0, 10);
    expect(scene.ids(scene.connection.recall())).toEqual(['1', '2', '3']);
    expect(scene.begin(1)).toBe(false);
    expect(scene.told).toEqual(['0 started', '0 result 10']);
  });

  it('leaves the first, whose start was told when it was posted', () => {
    const scene = new Scene(...four).go();
    expect(scene.ids(scene.connection.recall())).toEqual(['1', '2', '3']);
    expect(scene.begin(0)).toBe(true);
  });
});

describe('look()', () => {
  it('knows what has ended, though an earlier one keeps it from being told', () => {
    const scene = new Scene(...four).go();
    scene.run(0, 'text'); // its message is on its way
    scene.run(1, 11);
    scene.begin(2);
    scene.connection.reportChanges();
    expect(scene.tasks.map((task) => scene.connection.reachOf(task))).toEqual(['ended', 'ended', 'runs', 'waits']);
    expect(scene.told).toEqual(['0 started']);
  });
});

describe('recall() while a definition is loaded', () => {
  it('tells no start: the host is about to', () => {
    const scene = new Scene([1]);
    scene.connection.take([{ ...(scene.tasks[0] as LaneTask), definition: defineBySource('g', () => {}) }]);
    scene.connection.post();
    scene.begin(0);
    expect(scene.connection.recall()).toEqual([]);
    expect(scene.told).toEqual([]);
    scene.connection.onLoaded();
    expect(scene.told).toEqual(['0 started']);
  });
});

describe('recall() while the host goes on', () => {
  it.each([1, 2, 3])('takes back none before one that begins: it had the time for %d of them', (times) => {
    const scene = new Scene(...four).go();
    scene.begin(0);
    const { control } = scene;
    const begun: number[] = [];
    const withdraw = control.withdraw.bind(control);
    let calls = 0;
    control.withdraw = (item) => {
      const isWithdrawn = withdraw(item);
      calls += 1;
      if (calls === times) {
        // the host ends what runs, and comes to the next that it may begin
        control.finish(scene.item(0), 0, 2);
        const next = [1, 2, 3].find((each) => scene.begin(each));
        if (next !== undefined) begun.push(next);
      }
      return isWithdrawn;
    };
    const recalled = scene.connection.recall().map(({ id }) => Number(id));
    expect(recalled.filter((item) => begun.some((other) => other > item))).toEqual([]);
    expect([...begun, ...recalled]).toEqual([1, 2, 3]);
  });
});

describe('die()', () => {
  it('ends what ran, keeps what had ended, and gives what had not begun, in its order', () => {
    const scene = new Scene(...four).go();
    scene.run(0, 10);
    scene.begin(1);
    expect(scene.ids(scene.connection.onExit(exit, false, new Suspects()))).toEqual(['2', '3']);
    expect(scene.told).toEqual(['0 started', '0 result 10', '1 started', '1 died']);
  });

  it('ends none where none ran', () => {
    const scene = new Scene(...four).go();
    scene.run(0, 10);
    expect(scene.ids(scene.connection.onExit(exit, false, new Suspects()))).toEqual(['1', '2', '3']);
    expect(scene.told).toEqual(['0 started', '0 result 10']);
  });

  it('ends what had finished, but could not say what it came to', () => {
    const scene = new Scene(...four).go();
    scene.run(0, 'text');
    scene.run(1, 11);
    expect(scene.ids(scene.connection.onExit(exit, false, new Suspects()))).toEqual(['2', '3']);
    expect(scene.told).toEqual(['0 started', '0 died', '1 started', '1 result 11']);
  });

  it('gives back none that was withdrawn', () => {
    const scene = new Scene(...four).go();
    scene.begin(0);
    scene.connection.withdraw(scene.tasks[2] as LaneTask);
    expect(scene.ids(scene.connection.onExit(exit, false, new Suspects()))).toEqual(['1', '3']);
    expect(scene.told).toEqual(['0 started', '0 died', '2 withdrawn']);
  });
});

describe('die() before anything of the batch has begun', () => {
  it('gives all back, as often as they are in one batch', () => {
    const suspects = new Suspects<LaneTask>();
    const scene = new Scene(...four);
    for (let death = 0; death < 5; death += 1) {
      scene.connection.take(scene.tasks);
      scene.go();
      scene.told.length = 0;
      expect(scene.ids(scene.connection.onExit(exit, false, suspects))).toEqual(['0', '1', '2', '3']);
    }
    expect(scene.told).toEqual([]);
    expect(scene.tasks.every((task) => suspects.has(task))).toBe(true);
  });

  it('blames one that travels alone, the third time, and no neighbour of before', () => {
    const suspects = new Suspects<LaneTask>();
    const scene = new Scene(...four).go();
    scene.connection.onExit(exit, false, suspects);
    const alone = scene.tasks.slice(2, 3);
    const die = () => {
      scene.connection.take(alone);
      scene.connection.post();
      scene.told.length = 0;
      return scene.ids(scene.connection.onExit(exit, false, suspects));
    };
    expect(die()).toEqual(['2']);
    expect(scene.told).toEqual([]);
    expect(die()).toEqual([]);
    expect(scene.told).toEqual(['2 started', '2 died']);
  });

  it('suspects none of a batch that has begun', () => {
    const suspects = new Suspects<LaneTask>();
    const scene = new Scene(...four).go();
    scene.begin(0);
    expect(scene.ids(scene.connection.onExit(exit, false, suspects))).toEqual(['1', '2', '3']);
    expect(scene.tasks.some((task) => suspects.has(task))).toBe(false);
  });
});

describe('what a host can not say now', () => {
  const result = { kind: 'result', value: 'text', isBuffer: false } as const;

  it.each([
    ['of one that runs', 0, (scene: Scene) => scene.begin(0)],
    ['of one that has not begun', 1, (scene: Scene) => scene.run(0, 'text')],
    ['of one that was told of', 0, (scene: Scene) => scene.run(0, 7)],
    ['of none', 9, () => {}],
  ])('a result %s changes nothing', (_, item, before) => {
    const scene = new Scene(...four).go();
    before(scene);
    scene.connection.reportChanges();
    const told = [...scene.told];
    expect(() => scene.connection.read({ ...result, item: scene.item(item) })).toThrow('nobody waits for');
    expect(scene.told).toEqual(told);
  });

  it('a result while the definition is loaded', () => {
    const scene = new Scene([1]);
    scene.connection.take([{ ...(scene.tasks[0] as LaneTask), definition: defineBySource('h', () => {}) }]);
    scene.connection.post();
    scene.run(0, 'text');
    expect(() => scene.connection.read({ ...result, item: scene.item(0) })).toThrow('nobody waits for');
  });

  it('that it has loaded what it had', () => {
    const scene = new Scene(...four).go();
    expect(() => scene.connection.onLoaded()).toThrow('nobody asked for');
  });

  it('that it is done while something runs, or has not said what it came to', () => {
    const scene = new Scene(...four).go();
    scene.begin(0);
    expect(() => scene.connection.checkDone()).toThrow('not ended');
    scene.finishByMessage(0);
    expect(() => scene.connection.checkDone()).toThrow('not ended');
  });
});

describe('isHeldBy()', () => {
  it('is so for the one that runs, and for no other', () => {
    const scene = new Scene(...four).go();
    scene.run(0, 10);
    scene.begin(1);
    scene.connection.reportChanges();
    expect(scene.tasks.slice(1).map((task) => scene.connection.isHeldBy(task))).toEqual([true, false, false]);
  });
});

describe('post()', () => {
  it('sends primitives and small records in one message, and other objects each in its own, in their order', () => {
    const scene = new Scene([1, 'a'], [new Map()], [2n, undefined, null], [[2]], [{ n: 1 }]).go();
    expect(scene.posted).toMatchObject([
      { kind: 'run', args: [[1, 'a'], null, [2n, undefined, null], null, [{ n: 1 }]], ids: 0 },
      { kind: 'args', args: [new Map()] },
      { kind: 'args', args: [[2]] },
    ]);
  });

  it.each([
    ['the first', 0],
    ['the last', 3],
  ])('refuses what can not be sent, and that is told of no more: %s', (_, place) => {
    const args = [0, 1, 2, 3].map((n) => [n === place ? () => {} : [n]]);
    const scene = new Scene(...args.map((own, n) => (n === place ? [0] : own)));
    const tasks = scene.tasks.map((task, n) => ({ ...task, args: args[n] as readonly unknown[] }));
    scene.connection.take(tasks);
    scene.go();
    expect(scene.refused).toEqual([`${place}`]);
    expect(scene.posted).toHaveLength(5); // the host still waits for the arguments of each
    for (const item of [0, 1, 2, 3]) if (item !== place) scene.run(item, item);
    scene.connection.reportChanges();
    expect(scene.told.some((line) => line.startsWith(`${place} `))).toBe(false);
    expect(scene.told.filter((line) => line.includes('result'))).toHaveLength(3);
  });
});

it('sends one that throws as it is looked at to nobody, and its neighbours all the same', () => {
  const { proxy, revoke } = Proxy.revocable({}, {});
  const scene = new Scene(...four);
  scene.connection.take(scene.tasks.map((task, n) => ({ ...task, args: [n === 1 ? proxy : [n]] })));
  revoke();
  scene.go();
  expect(scene.refused).toEqual(['1']);
  expect(scene.posted).toHaveLength(5);
});

it('hears what one failed by', () => {
  const scene = new Scene(...four).go();
  scene.begin(0);
  scene.finishByMessage(0);
  scene.hear({ kind: 'thrown', item: 0, error: encodeThrown(new Error('no')) });
  expect(scene.told).toEqual(['0 started', '0 thrown']);
});

describe('a connection that replaces another', () => {
  it('knows what it was told to load, and not what the other has come to know since', () => {
    const old = new Scene([1]);
    const successor = new Scene([1]);
    const later = { ...(old.tasks[0] as LaneTask), definition: defineBySource('g', () => 1) };
    successor.connection.owner.predecessor = old.connection.owner;
    expect(successor.connection.warm()).toBe(true);
    old.connection.take([later]);
    old.connection.post();
    old.connection.onLoaded();
    expect(old.connection.hasLoaded(later)).toBe(true);
    successor.connection.onWarmed([]);
    expect(successor.connection.hasLoaded(later)).toBe(false);
    expect(successor.connection.hasLoaded(old.tasks[0] as LaneTask)).toBe(true);
  });
});

describe('a prefetched task', () => {
  /** One task runs, and the next is prefetched. */
  function prefetch(args: readonly unknown[] = [2]): Scene {
    const scene = new Scene([1], args);
    scene.connection.take(scene.tasks.slice(0, 1));
    scene.go();
    scene.connection.state = 'busy';
    scene.begin(0);
    expect(scene.connection.canPrefetch(scene.tasks[1] as LaneTask)).toBe(true);
    expect(scene.connection.prefetch(scene.tasks[1] as LaneTask)).toBe(true);
    expect(scene.connection.canPrefetch(scene.tasks[1] as LaneTask)).toBe(false);
    scene.told.length = 0;
    return scene;
  }

  const nextItem = (scene: Scene) => scene.connection.end;

  it('follows what runs, with a number and a message of its own', () => {
    const scene = prefetch([[2]]);
    const item = nextItem(scene);
    expect(scene.posted.slice(1)).toMatchObject([
      { kind: 'run', first: item, items: 1, args: [null] },
      { kind: 'args', args: [[2]] },
    ]);
    scene.control.finish(scene.item(0), 10, 2);
    scene.control.begin(item, 3);
    scene.connection.reportChanges();
    expect(scene.connection.advance()).toBe(true);
    scene.control.finish(item, 20, 4);
    scene.connection.reportChanges();
    expect(scene.told).toEqual(['0 result 10', '1 follows', '1 started', '1 result 20']);
    expect(scene.connection.advance()).toBe(false);
  });

  it('never begins once it was taken back, and is no part of the batch', () => {
    const scene = prefetch();
    expect(scene.connection.takeBack()).toBe(true);
    expect(scene.control.begin(nextItem(scene), 3)).toBe(false);
    scene.control.finish(scene.item(0), 10, 2);
    scene.connection.reportChanges();
    expect(scene.connection.advance()).toBe(false);
    expect(scene.told).toEqual(['0 result 10']);
  });

  it('belongs to the batch if it has begun when it is to be taken back', () => {
    const scene = prefetch();
    const item = nextItem(scene);
    scene.control.finish(scene.item(0), 10, 2);
    scene.control.begin(item, 3);
    expect(scene.connection.takeBack()).toBe(false);
    scene.connection.reportChanges();
    expect(scene.told).toEqual(['1 follows', '0 result 10', '1 started']);
    scene.control.finish(item, 20, 4);
    scene.connection.reportChanges();
    expect(scene.told.at(-1)).toBe('1 result 20');
  });

  it('keeps its number apart from those that were taken back before it', () => {
    const scene = prefetch();
    const [first, second] = scene.tasks as [LaneTask, LaneTask];
    scene.connection.takeBack();
    expect(scene.connection.prefetch(second)).toBe(true);
    const item = nextItem(scene) + 1;
    scene.control.finish(scene.item(0), 10, 2);
    expect(scene.control.begin(item, 3)).toBe(true);
    expect(scene.connection.takeBack()).toBe(false);
    expect([first, second].map((task) => scene.connection.reachOf(task))).toEqual(['ended', 'runs']);
  });

  it('is returned when its host dies before it has begun, and is sent alone from then on', () => {
    const scene = prefetch();
    const suspects = new Suspects<LaneTask>();
    expect(scene.connection.onExit(exit, false, suspects)).toEqual([]);
    expect(scene.told).toEqual(['1 returned', '0 died']);
    expect(suspects.has(scene.tasks[1] as LaneTask)).toBe(true);
  });

  it('dies with its host when it has begun, and the one before it keeps its result', () => {
    const scene = prefetch();
    scene.control.finish(scene.item(0), 10, 2);
    scene.control.begin(nextItem(scene), 3);
    expect(scene.connection.onExit(exit, false, new Suspects())).toEqual([]);
    expect(scene.told).toEqual(['1 follows', '0 result 10', '1 started', '1 died']);
  });

  it('keeps the batch open, if it has begun by the time that the end of the one before it can not be read', () => {
    const scene = prefetch();
    scene.finishByMessage(0);
    scene.control.begin(nextItem(scene), 3);
    scene.onEnded = () => void scene.connection.takeBack(); // whoever hears of it wants the other back
    expect(scene.connection.onUnreadable(new Error('unreadable'))).toBe(false);
    expect(scene.told).toEqual(['0 uncloneable', '1 follows', '1 started']);
  });

  it('is not sent if it can not be, and what runs goes on', () => {
    const scene = new Scene([1], [() => {}]);
    scene.connection.take(scene.tasks.slice(0, 1));
    scene.go();
    scene.connection.state = 'busy';
    expect(scene.connection.prefetch(scene.tasks[1] as LaneTask)).toBe(false);
    expect(scene.connection.prefetched).toBeUndefined();
    scene.run(0, 10);
    scene.connection.reportChanges();
    expect(scene.told).toEqual(['0 started', '0 result 10']);
  });
});
