/** The emitter: every listener is called, and what one of them throws is logged and stops nothing. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { beforeEach, expect, it, vi } from 'vitest';
import { type EventName, SupervisorEmitter } from '../../src/dispatch/events/supervisor-events.ts';

const problems = vi.fn();

class Emitter extends SupervisorEmitter {
  protected override onListenerProblem(problem: unknown, event: EventName): void {
    problems(problem, event);
  }
}

let emitter: Emitter;

beforeEach(() => {
  problems.mockReset();
  emitter = new Emitter();
});

const started = { threadId: 1 };

it('calls every listener of an event with its payload, in the order in which they came', () => {
  const heard: unknown[] = [];
  emitter.on('thread:started', (event) => heard.push(['first', event]));
  emitter.on('thread:started', (event) => heard.push(['second', event]));
  emitter.on('supervisor:started', () => heard.push('another event'));
  emitter.emit('thread:started', started);
  emitter.emit('thread:started', { threadId: 2 });
  expect(heard).toEqual([
    ['first', started],
    ['second', started],
    ['first', { threadId: 2 }],
    ['second', { threadId: 2 }],
  ]);
});

it('calls a listener of once() once', () => {
  const listener = vi.fn();
  emitter.once('thread:started', listener);
  emitter.emit('thread:started', started);
  emitter.emit('thread:started', started);
  expect(listener.mock.calls).toEqual([[started]]);
  expect(emitter.listenerCount('thread:started')).toBe(0);
});

it('off() takes away the listener it names, of on() and of once(), and no other', () => {
  const [gone, goneOnce, stays] = [vi.fn(), vi.fn(), vi.fn()];
  emitter.on('thread:started', gone);
  emitter.once('thread:started', goneOnce);
  emitter.on('thread:started', stays);
  emitter.off('thread:started', gone);
  emitter.off('thread:started', goneOnce);
  emitter.off('thread:started', () => {});
  emitter.emit('thread:started', started);
  expect([gone, goneOnce, stays].map((listener) => listener.mock.calls.length)).toEqual([0, 0, 1]);
});

it('off() takes a listener from one event, and leaves it on another', () => {
  const listener = vi.fn();
  emitter.on('thread:started', listener);
  emitter.on('supervisor:started', listener);
  emitter.off('thread:started', listener);
  emitter.emit('thread:started', started);
  emitter.emit('supervisor:started', { id: 's' });
  expect(listener.mock.calls).toEqual([[{ id: 's' }]]);
});

it('off() without a listener takes all from that event', () => {
  const [one, two, other] = [vi.fn(), vi.fn(), vi.fn()];
  emitter.on('thread:started', one);
  emitter.once('thread:started', two);
  emitter.on('supervisor:started', other);
  emitter.off('thread:started');
  expect([emitter.listenerCount('thread:started'), emitter.listenerCount('supervisor:started')]).toEqual([0, 1]);
});

it('knows how many listen to an event, and to which events anybody does', () => {
  const listener = () => {};
  expect([emitter.listenerCount('thread:started'), emitter.eventNames()]).toEqual([0, []]);
  emitter.on('thread:started', listener);
  emitter.once('thread:started', () => {});
  emitter.on('supervisor:started', listener);
  expect([emitter.listenerCount('thread:started'), emitter.listenerCount('thread:exited')]).toEqual([2, 0]);
  expect(emitter.eventNames().sort()).toEqual(['supervisor:started', 'thread:started']);
  emitter.off('thread:started');
  expect([emitter.listenerCount('thread:started'), emitter.eventNames()]).toEqual([0, ['supervisor:started']]);
});

it('emit() returns whether there was a listener', () => {
  expect(emitter.emit('thread:started', started)).toBe(false);
  emitter.once('thread:started', () => {
    throw new Error('from a listener');
  });
  expect(emitter.emit('thread:started', started)).toBe(true);
  expect(emitter.emit('thread:started', started)).toBe(false);
});

it('addListener() and removeListener() are on() and off()', () => {
  const [gone, stays] = [vi.fn(), vi.fn()];
  expect(emitter.addListener('thread:started', gone).addListener('thread:started', stays)).toBe(emitter);
  expect(emitter.removeListener('thread:started', gone)).toBe(emitter);
  emitter.emit('thread:started', started);
  expect([gone.mock.calls, stays.mock.calls]).toEqual([[], [[started]]]);
  emitter.removeListener('thread:started');
  expect(emitter.listenerCount('thread:started')).toBe(0);
});

it('removeAllListeners() takes all from one event, or from every event', () => {
  const listener = vi.fn();
  const counts = () => [emitter.listenerCount('thread:started'), emitter.listenerCount('supervisor:started')];
  emitter.on('thread:started', listener).once('thread:started', listener).on('supervisor:started', listener);
  expect(emitter.removeAllListeners('thread:started')).toBe(emitter);
  expect(counts()).toEqual([0, 1]);
  emitter.on('thread:started', listener);
  emitter.removeAllListeners();
  expect(counts()).toEqual([0, 0]);
  emitter.emit('thread:started', started);
  emitter.emit('supervisor:started', { id: 's' });
  expect(listener).not.toHaveBeenCalled();
});

it.each(['on', 'once', 'addListener'] as const)('%s() refuses a listener that is no function', (method) => {
  for (const [listener, shown] of [
    [undefined, 'undefined'],
    [null, 'null'],
    ['listen', `'listen'`],
    [{ handleEvent() {} }, 'an object'],
  ] as const) {
    expect(() => emitter[method]('thread:started', listener as unknown as () => void)).toThrow(
      new TypeError(`the listener of thread:started must be a function; got ${shown}`),
    );
  }
  expect(emitter.eventNames()).toEqual([]);
});

it('a listener that throws is logged, and the others are called all the same', () => {
  const problem = new Error('from a listener');
  const after = vi.fn();
  emitter.on('thread:started', () => {
    throw problem;
  });
  emitter.on('thread:started', after);
  expect(() => emitter.emit('thread:started', started)).not.toThrow();
  expect(after).toHaveBeenCalledTimes(1);
  expect(problems.mock.calls).toEqual([[problem, 'thread:started']]);
});

it('a listener that rejects is logged, and is no unhandled rejection', async () => {
  const unhandled = vi.fn();
  process.on('unhandledRejection', unhandled);
  const problem = new Error('from a promise');
  emitter.on('thread:exited', async () => {
    throw problem;
  });
  emitter.emit('thread:exited', { threadId: 1, exitCode: 0, cause: undefined });
  await nextTurn();
  await nextTurn();
  process.off('unhandledRejection', unhandled);
  expect(problems.mock.calls).toEqual([[problem, 'thread:exited']]);
  expect(unhandled).not.toHaveBeenCalled();
});

it('names the event of the problem, also for a listener of several events', () => {
  const listener = () => {
    throw new Error('always');
  };
  emitter.on('thread:started', listener);
  emitter.on('supervisor:started', listener);
  emitter.emit('supervisor:started', { id: 's' });
  emitter.emit('thread:started', started);
  expect(problems.mock.calls.map(([, event]) => event)).toEqual(['supervisor:started', 'thread:started']);
});

it('a listener may take itself away while it is called, and the next is called still', () => {
  const next = vi.fn();
  const listener = () => emitter.off('thread:started', listener);
  emitter.on('thread:started', listener);
  emitter.on('thread:started', next);
  emitter.emit('thread:started', started);
  emitter.emit('thread:started', started);
  expect(next).toHaveBeenCalledTimes(2);
});
