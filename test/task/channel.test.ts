/** A channel gives what was sent once and in order, and makes senders wait only while the other side has too much. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Channel } from '../../src/task/inside/channel.ts';
import type { ChannelMessage } from '../../src/task/inside/channel-message.ts';

/** At most so many may be on their way before a sender waits. */
const windowSize = 64;

const numbersBelow = (count: number) => Array.from({ length: count }, (_, n) => n);

/** An open channel, and what it says. */
function openChannel(options?: ConstructorParameters<typeof Channel>[1]): {
  channel: Channel;
  posted: ChannelMessage[];
} {
  const posted: ChannelMessage[] = [];
  return { channel: new Channel((message) => posted.push(message), options).open(), posted };
}

function handleAll(channel: Channel, values: readonly unknown[]): void {
  for (const value of values) channel.handle({ kind: 'data', value });
}

const sentIn = (posted: readonly ChannelMessage[]) =>
  posted.flatMap((message) => (message.kind === 'data' ? [message.value] : []));
const takenIn = (posted: readonly ChannelMessage[]) =>
  posted.reduce((count, message) => count + (message.kind === 'taken' ? message.count : 0), 0);

/** What has become of promises by now, undefined for those that wait. */
async function stateOf(promises: readonly Promise<boolean>[]): Promise<(boolean | undefined)[]> {
  const states: (boolean | undefined)[] = promises.map(() => undefined);
  for (const [n, promise] of promises.entries()) {
    void promise.then((value) => {
      states[n] = value;
    });
  }
  await nextTurn();
  return states;
}

describe('a sender', () => {
  it('that waits for none of very many is held up by none of them', async () => {
    const { channel } = openChannel();
    const count = 100_000;
    let free = 0;
    const sent = numbersBelow(count).map((n) =>
      channel.send(n).then((wasTaken) => {
        free += Number(wasTaken);
      }),
    );
    for (let taken = 0; taken < count; taken += 16) channel.handle({ kind: 'taken', count: 16 });
    await Promise.all(sent);
    expect(free).toBe(count);
  });

  it('waits when the window is full, until enough was taken', async () => {
    const { channel } = openChannel();
    const sent = numbersBelow(windowSize + 2).map((n) => channel.send(n));
    expect((await stateOf(sent)).slice(-4)).toEqual([true, undefined, undefined, undefined]);
    channel.handle({ kind: 'taken', count: 2 });
    expect((await stateOf(sent)).slice(-4)).toEqual([true, true, true, undefined]);
  });

  it('that does not wait is never refused', () => {
    const { channel, posted } = openChannel();
    for (let n = 0; n < 1_000; n += 1) void channel.send(n);
    expect(sentIn(posted)).toEqual(numbersBelow(1_000));
  });

  it('is given no more room than it has used, whatever it is told', async () => {
    const { channel } = openChannel();
    void channel.send(0);
    channel.handle({ kind: 'taken', count: 1_000 });
    const sent = numbersBelow(windowSize).map((n) => channel.send(n));
    expect((await stateOf(sent)).at(-1)).toBeUndefined();
  });

  it('hears what saying throws, and then has sent nothing', async () => {
    let isBroken = true;
    const posted: ChannelMessage[] = [];
    const channel = new Channel(
      (message) => {
        if (isBroken) throw new Error('broken');
        posted.push(message);
      },
      { resends: true },
    ).open();
    expect(() => channel.send('lost')).toThrow('broken');
    isBroken = false;
    const sent = numbersBelow(windowSize - 1).map((n) => channel.send(n));
    expect(await stateOf(sent)).toEqual(sent.map(() => true));
    channel.open();
    expect(sentIn(posted)).toEqual([...numbersBelow(windowSize - 1), ...numbersBelow(windowSize - 1)]);
  });
});

describe('a channel that keeps', () => {
  it('says what was sent before it was opened, in order, when it is', () => {
    const posted: ChannelMessage[] = [];
    const channel = new Channel((message) => posted.push(message), { resends: true });
    for (const n of [1, 2, 3]) void channel.send(n);
    expect(posted).toEqual([]);
    channel.open();
    expect(sentIn(posted)).toEqual([1, 2, 3]);
  });

  it('says again to the next listener what the last has not taken, and what was sent between', () => {
    const { channel, posted } = openChannel({ resends: true });
    for (const n of [1, 2, 3]) void channel.send(n);
    channel.handle({ kind: 'taken', count: 2 });
    channel.close();
    void channel.send(4);
    posted.length = 0;
    channel.open();
    expect(sentIn(posted)).toEqual([3, 4]);
  });

  it('lets a sender wait through a change of listeners', async () => {
    const { channel } = openChannel({ resends: true });
    const sent = numbersBelow(windowSize).map((n) => channel.send(n));
    channel.close();
    channel.open();
    expect((await stateOf(sent)).at(-1)).toBeUndefined();
    channel.handle({ kind: 'taken', count: 1 });
    expect((await stateOf(sent)).at(-1)).toBe(true);
  });
});

describe('what has come', () => {
  it('is told as taken when it is read: not each, but when all is read', () => {
    const { channel, posted } = openChannel();
    handleAll(channel, numbersBelow(10));
    for (let n = 0; n < 9; n += 1) channel.read();
    expect(posted).toEqual([]);
    channel.read();
    expect(posted).toEqual([{ kind: 'taken', count: 10 }]);
  });

  it('is told as taken by and by, if there is much', () => {
    const { channel, posted } = openChannel();
    handleAll(channel, numbersBelow(1_000));
    for (let n = 0; n < 999; n += 1) channel.read();
    expect(takenIn(posted)).toBeGreaterThan(999 - windowSize / 2);
    expect(posted.length).toBeLessThan(100);
  });

  it('is told as taken at the end, so that it is not posted again to another', () => {
    const { channel, posted } = openChannel();
    handleAll(channel, numbersBelow(10));
    channel.read();
    channel.end();
    expect(posted).toEqual([{ kind: 'taken', count: 1 }]);
  });

  it('before the channel was opened is told as taken when it is', () => {
    const posted: ChannelMessage[] = [];
    const channel = new Channel((message) => posted.push(message), { countsUnreadAsTaken: true });
    handleAll(channel, numbersBelow(windowSize));
    channel.open();
    expect(takenIn(posted)).toBe(windowSize);
  });

  it('from a listener that has gone is not told as taken to the next', () => {
    const { channel, posted } = openChannel();
    handleAll(channel, numbersBelow(40));
    channel.read();
    channel.close();
    posted.length = 0;
    channel.open();
    for (let n = 1; n < 40; n += 1) expect(channel.read()).toEqual({ value: n });
    expect(posted).toEqual([]);
    handleAll(channel, ['new']);
    channel.read();
    expect(posted).toEqual([{ kind: 'taken', count: 1 }]);
  });

  it('is taken at once while nobody reads, and can be read later', () => {
    const { channel, posted } = openChannel({ countsUnreadAsTaken: true });
    handleAll(channel, numbersBelow(windowSize));
    expect(takenIn(posted)).toBe(windowSize);
    expect(channel.read()).toEqual({ value: 0 });
    expect(takenIn(posted)).toBe(windowSize);
  });

  it('is not taken at once while a reader has paused, but as soon as it has left', async () => {
    const { channel, posted } = openChannel({ countsUnreadAsTaken: true });
    const reader = channel[Symbol.asyncIterator]();
    const first = reader.next();
    handleAll(channel, numbersBelow(windowSize));
    expect(await first).toEqual({ done: false, value: 0 });
    expect(takenIn(posted)).toBe(1);
    await reader.return();
    expect(takenIn(posted)).toBe(windowSize);
  });

  it('goes to those who wait, in the order in which they began to', async () => {
    const { channel } = openChannel();
    const received = [channel.receive(), channel.receive()];
    handleAll(channel, ['a', 'b']);
    expect(await Promise.all(received)).toEqual([{ value: 'a' }, { value: 'b' }]);
  });

  it('may be undefined', async () => {
    const { channel } = openChannel();
    handleAll(channel, [undefined]);
    expect(await channel.receive()).toEqual({ value: undefined });
  });

  it('is not lost to one who has waited long enough', async () => {
    const { channel } = openChannel();
    expect(await channel.receive(1)).toBeUndefined();
    handleAll(channel, ['late']);
    expect(await channel.receive(0)).toEqual({ value: 'late' });
  });
});

describe('the end', () => {
  it('refuses senders that wait, and those that come', async () => {
    const { channel, posted } = openChannel();
    const sent = numbersBelow(windowSize).map((n) => channel.send(n));
    channel.end();
    expect((await stateOf(sent)).at(-1)).toBe(false);
    expect(await channel.send('late')).toBe(false);
    expect(sentIn(posted)).not.toContain('late');
  });

  it('lets what has come be read, gives the others nothing, and hears no more', async () => {
    const { channel } = openChannel();
    handleAll(channel, [1, 2]);
    channel.end();
    handleAll(channel, [3]);
    const read: unknown[] = [];
    for await (const value of channel) read.push(value);
    expect(read).toEqual([1, 2]);
    expect(await channel.receive()).toBeUndefined();
  });

  it('wakes all who wait', async () => {
    const { channel } = openChannel();
    const waiting = [channel.receive(), channel.receive(2 ** 40), channel[Symbol.asyncIterator]().next()];
    channel.end();
    expect(await Promise.all(waiting)).toEqual([undefined, undefined, { done: true, value: undefined }]);
  });
});

describe('a halt', () => {
  it('wakes all who wait for something, and holds up no sender', async () => {
    const { channel, posted } = openChannel();
    const waits = channel.receive();
    const sent = numbersBelow(windowSize).map((n) => channel.send(n));
    channel.stopWaiting();
    expect(await waits).toBeUndefined();
    expect((await stateOf(sent)).at(-1)).toBe(true);
    expect(await channel.send('more')).toBe(true);
    expect(sentIn(posted).at(-1)).toBe('more');
  });

  it('lets what has come, and what still comes, be read without a wait', async () => {
    const { channel } = openChannel();
    handleAll(channel, [1]);
    channel.stopWaiting();
    handleAll(channel, [2]);
    expect([await channel.receive(), await channel.receive(), await channel.receive()]).toEqual([
      { value: 1 },
      { value: 2 },
      undefined,
    ]);
  });
});

describe('one who gives', () => {
  it('waits until what it gave was taken, also while there is room', async () => {
    const { channel } = openChannel();
    const given = [channel.sendUntilTaken('a'), channel.sendUntilTaken('b'), channel.sendUntilTaken('c')];
    expect(await stateOf(given)).toEqual([undefined, undefined, undefined]);
    channel.handle({ kind: 'taken', count: 2 });
    expect(await stateOf(given)).toEqual([true, true, undefined]);
    channel.end();
    expect(await stateOf(given)).toEqual([true, true, false]);
    expect(await channel.sendUntilTaken('d')).toBe(false);
  });

  it('is told also of what is taken while it is posted', async () => {
    const channel: Channel = new Channel(() => channel.handle({ kind: 'taken', count: 1 })).open();
    expect(await channel.sendUntilTaken('a')).toBe(true);
    const sent = numbersBelow(windowSize + 1).map((n) => channel.send(n));
    expect(await stateOf(sent)).toEqual(sent.map(() => true));
  });

  it('goes on waiting while what was not taken is posted to another', async () => {
    const { channel, posted } = openChannel({ resends: true });
    const given = channel.sendUntilTaken('a');
    channel.close();
    channel.open();
    expect(sentIn(posted)).toEqual(['a', 'a']);
    expect(await stateOf([given])).toEqual([undefined]);
    channel.handle({ kind: 'taken', count: 1 });
    expect(await given).toBe(true);
  });

  it('gets what saying throws, and then has given nothing', async () => {
    let isBroken = true;
    const channel = new Channel(
      () => {
        if (isBroken) throw new Error('broken');
      },
      { resends: true },
    ).open();
    await expect(channel.sendUntilTaken('a')).rejects.toThrow('broken');
    isBroken = false;
    const given = channel.sendUntilTaken('b');
    channel.handle({ kind: 'taken', count: 1 });
    expect(await given).toBe(true);
  });
});

/** Two ends, with words on their way between them, and a count of what a sender and readers see. */
class Scene {
  readonly toReader: ChannelMessage[] = [];
  readonly toSender: ChannelMessage[] = [];
  readonly sender = new Channel((message) => this.toReader.push(message)).open();
  readonly reader: Channel;
  /** Of awaiting senders, one at a time: how many have been sent, and whether the last still waits. */
  sent = 0;
  waits = false;
  read: unknown[] = [];
  readers: { readonly values: AsyncGenerator<unknown, void, undefined>; isWaiting: boolean }[] = [];
  constructor(countsUnreadAsTaken: boolean) {
    this.reader = new Channel((message) => this.toSender.push(message), { countsUnreadAsTaken }).open();
  }

  send(): void {
    if (this.waits) return;
    this.waits = true;
    this.sent += 1;
    void this.sender.send(this.sent - 1).then(() => {
      this.waits = false;
    });
  }

  /** So many words arrive, of those that are on their way. */
  carry(toReader: number, toSender: number): void {
    for (const message of this.toReader.splice(0, toReader)) this.reader.handle(message);
    for (const message of this.toSender.splice(0, toSender)) this.sender.handle(message);
  }

  next(n: number): void {
    const reader = this.readers[n % Math.max(this.readers.length, 1)];
    if (reader === undefined || reader.isWaiting) return;
    reader.isWaiting = true;
    void reader.values.next().then(({ done, value }) => {
      reader.isWaiting = false;
      if (!done) this.read.push(value);
    });
  }

  come(): void {
    this.readers.push({ values: this.reader[Symbol.asyncIterator](), isWaiting: false });
    this.next(this.readers.length - 1); // it reads from its first call on
  }

  async leave(): Promise<void> {
    const [reader] = this.readers;
    if (reader === undefined || reader.isWaiting) return; // a generator that waits can't be left
    this.readers.shift();
    await reader.values.return();
  }

  takeAtOnce(): void {
    const received = this.reader.read();
    if (received !== undefined) this.read.push(received.value);
  }

  countUnreadAsTaken(): void {
    this.reader.countUnreadAsTaken();
  }

  /** All that is on its way arrives, and what that sets off. */
  async settle(): Promise<void> {
    do {
      this.carry(Infinity, Infinity);
      await nextTurn();
    } while (this.toReader.length + this.toSender.length > 0);
  }
}

type Step = readonly ['send' | 'next' | 'takeAtOnce' | 'carry', number] | 'come' | 'leave' | 'countUnreadAsTaken';

const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    { weight: 8, arbitrary: fc.tuple(fc.constant('send' as const), fc.integer({ min: 1, max: 100 })) },
    { weight: 6, arbitrary: fc.tuple(fc.constant('next' as const), fc.integer({ min: 1, max: 40 })) },
    { weight: 3, arbitrary: fc.tuple(fc.constant('takeAtOnce' as const), fc.integer({ min: 1, max: 40 })) },
    { weight: 8, arbitrary: fc.tuple(fc.constant('carry' as const), fc.integer({ min: 0, max: 80 })) },
    { weight: 2, arbitrary: fc.constant('come' as const) },
    { weight: 2, arbitrary: fc.constant('leave' as const) },
    { weight: 1, arbitrary: fc.constant('countUnreadAsTaken' as const) },
  ),
  { maxLength: 40 },
);

async function act(scene: Scene, step: Step): Promise<void> {
  if (typeof step === 'string') {
    await scene[step]();
    await nextTurn(); // who has come has read
    return;
  }
  const [name, count] = step;
  if (name === 'carry') scene.carry(count, count);
  else {
    for (let n = 0; n < count; n += 1) {
      scene[name](n);
      await null; // a sender that need not wait goes on
      await null;
    }
  }
  await nextTurn();
}

describe('two ends, in any order of sends, reads, and readers that come and go', () => {
  it('lose nothing, keep the order, and hold up no sender once all is read', async () => {
    await fc.assert(
      fc.asyncProperty(fc.boolean(), steps, async (countsUnreadAsTaken, script) => {
        const scene = new Scene(countsUnreadAsTaken);
        for (const step of script) await act(scene, step);
        await scene.settle();
        for (let received = scene.reader.read(); received !== undefined; received = scene.reader.read()) {
          scene.read.push(received.value);
        }
        await scene.settle();
        expect(scene.waits).toBe(false);
        scene.reader.end();
        await nextTurn();
        expect([...scene.read].sort((a, b) => Number(a) - Number(b))).toEqual(numbersBelow(scene.sent));
        if (scene.readers.length === 0) expect(scene.read).toEqual(numbersBelow(scene.sent));
      }),
      { numRuns: 200 },
    );
  });

  it('hold up no sender once nobody reads, where that counts as taken', async () => {
    await fc.assert(
      fc.asyncProperty(steps, async (script) => {
        const scene = new Scene(true);
        for (const step of [...script, 'leave', 'leave', 'leave'] as const) await act(scene, step);
        await scene.settle();
        if (scene.readers.length === 0) expect(scene.waits).toBe(false);
      }),
      { numRuns: 100 },
    );
  });

  it('let an awaiting sender be ahead of what was read by no more than the window', async () => {
    await fc.assert(
      fc.asyncProperty(
        steps.map((script) => script.filter((step) => step !== 'countUnreadAsTaken')),
        async (script) => {
          const scene = new Scene(false);
          for (const step of script) {
            await act(scene, step);
            expect(scene.sent - scene.read.length).toBeLessThanOrEqual(windowSize);
          }
        },
      ),
      { numRuns: 200 },
    );
  });
});
