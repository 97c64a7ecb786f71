/**
 * Machines that share a schedule, whose clocks differ, and that start, stop and die at random: each run that came due for
 * one of them is run to its end once, though it begins again where a machine died, or was stopped at once, in the middle.
 */
import fc from 'fast-check';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import type { ClientWorkerTaskCourier } from '../../src/couriers/courier.ts';
import { MemoryTaskCourier } from '../../src/couriers/memory/memory-courier.ts';
import { SharedRuns } from '../../src/schedules/shared-runs.ts';
import { TaskSupervisor } from '../../src/supervisor/supervisor.ts';
import { prepareCall } from '../../src/task/call/target.ts';
import { currentTask } from '../../src/task/inside/context.ts';

const zero = Date.parse('2026-01-01T00:00Z');
const intervalMs = 1_000;
const leaseMs = 5_000;

beforeEach(() => {
  vi.useFakeTimers({ now: zero });
});

afterEach(() => {
  vi.useRealTimers();
});

/** A machine with a clock of its own. Once it is dead nothing answers it, and what it does counts no more. */
class Machine {
  readonly #world: World;
  readonly #skewMs: number;
  readonly #supervisor = new TaskSupervisor({ logger: false });
  readonly #shared: SharedRuns;
  #timer: NodeJS.Timeout | undefined;
  isDead = false;

  constructor(world: World, skewMs: number, runMs: number) {
    this.#world = world;
    this.#skewMs = skewMs;
    const run = async () => {
      const { id, signal } = currentTask();
      world.begun.push(id);
      await new Promise((resolve) => setTimeout(resolve, runMs));
      if (!this.isDead && !signal.aborted) world.done.push(id);
    };
    const { spec } = prepareCall(run, { type: 'loop', name: 'job', stopGraceMs: 0 }, 'a test');
    this.#shared = new SharedRuns({
      courier: this.#mortal(),
      queue: 'jobs',
      name: 'job',
      overlap: 'queue',
      options: spec.options,
      submitter: this.#supervisor,
      submit: (options) => this.#supervisor.submit({ ...spec, options: { ...spec.options, ...options } }, []),
      log: () => {},
    });
    this.#shared.serve();
    this.#plan();
  }

  #mortal(): ClientWorkerTaskCourier {
    const answer = async (call: () => Promise<unknown>) => {
      if (this.isDead) return new Promise(() => {});
      const [outcome] = await Promise.allSettled([call()]);
      if (this.isDead) return new Promise(() => {});
      if (outcome.status === 'rejected') throw outcome.reason;
      return outcome.value;
    };
    return new Proxy(this.#world.courier, {
      get: (target, key) => {
        const value = Reflect.get(target, key, target);
        return typeof value === 'function' ? (...args: unknown[]) => answer(() => value.apply(target, args)) : value;
      },
    });
  }

  #plan(): void {
    const at = Date.now() + this.#skewMs;
    const due = (Math.floor(at / intervalMs) + 1) * intervalMs;
    this.#timer = setTimeout(() => {
      this.#world.due.add(`job@${due}`);
      void this.#shared.run(due);
      this.#plan();
    }, due - at);
  }

  /** Lets what has begun end, or else gives it back. */
  stop(wait: boolean): void {
    clearTimeout(this.#timer);
    this.#world.ends.push(this.#shared.end(), this.#supervisor.stop({ wait }));
  }

  die(): void {
    clearTimeout(this.#timer);
    this.isDead = true;
    void this.#shared.end();
    void this.#supervisor.stop({ wait: false });
  }
}

class World {
  readonly courier = new MemoryTaskCourier({ leaseMs, maxStalls: Infinity });
  readonly due = new Set<string>();
  readonly begun: string[] = [];
  readonly done: string[] = [];
  readonly ends: Promise<unknown>[] = [];
}

const step = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('start' as const),
      skewMs: fc.integer({ min: -1_500, max: 1_500 }),
      runMs: fc.integer({ min: 0, max: 400 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constantFrom('stop', 'stopAtOnce', 'die'), pick: fc.nat(100) }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('pass' as const), ms: fc.integer({ min: 1, max: 4_000 }) }) },
);

it('each run is run to its end once, by a machine that lives', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 30 }), async (steps) => {
      const world = new World();
      const machines: Machine[] = [];
      let ended = 0;
      for (const each of steps) {
        if ('skewMs' in each) machines.push(new Machine(world, each.skewMs, each.runMs));
        else if ('ms' in each) await vi.advanceTimersByTimeAsync(each.ms);
        else if (machines.length > 0) {
          const [machine] = machines.splice(each.pick % machines.length, 1) as [Machine];
          if (each.do === 'die') machine.die();
          else machine.stop(each.do === 'stop');
          if (each.do !== 'stop') ended += 1;
        }
        await vi.advanceTimersByTimeAsync(0);
      }
      for (const machine of machines) machine.stop(true);
      const last = new Machine(world, 0, 10);
      await vi.advanceTimersByTimeAsync(leaseMs * 10);
      last.stop(true);
      await vi.advanceTimersByTimeAsync(5_000);
      await Promise.all(world.ends);
      expect([...world.done].sort()).toEqual([...world.due].sort());
      expect(world.begun.length).toBeLessThanOrEqual(world.done.length + ended);
      await world.courier.close();
    }),
    { numRuns: 100 },
  );
});
