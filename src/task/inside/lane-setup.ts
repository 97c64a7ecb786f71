/** laneSetup(): what a module sets up in each thread or child before its tasks run there, and cleans up at the end. */
import { TaskwardenError } from '../../base/errors.ts';
import { messageOf } from '../../base/foreign-value.ts';
import { rules } from '../../base/options.ts';
import { callSite } from '../../platform/stack-traces.ts';
import { toModuleUrl } from '../definition/module-url.ts';

/** Called, and awaited for a limited time, when the thread or child ends. */
export type LaneTeardown = () => unknown;

/** Called, and awaited, in each thread or child. If it returns a function, that is called at the end. */
// biome-ignore lint/suspicious/noConfusingVoidType: that is what a function without a result returns.
export type LaneSetup = () => LaneTeardown | void | Promise<LaneTeardown | void>;

interface Registered {
  readonly setup: LaneSetup;
  done: Promise<void> | undefined;
}

interface Setups {
  /** By the URL of the module, then by the call site in it, so that a module that is evaluated again replaces its own. */
  readonly byModule: Map<string, Map<string, Registered>>;
  readonly teardowns: LaneTeardown[];
}

// Shared by all copies of the package in a thread.
const setupsSymbol = Symbol.for('taskwarden.laneSetups');
const holder = globalThis as { [setupsSymbol]?: Setups };
holder[setupsSymbol] ??= { byModule: new Map(), teardowns: [] };
const setups: Setups = holder[setupsSymbol];

/**
 * Registers a setup that each thread or child runs once before the first task of the module. Call this at the top level
 * of the module. The function that the setup returns is called when that thread or child ends: when it retires, is
 * recycled, or its supervisor stops; not when it dies or is killed. If the setup fails, the task fails with
 * `LANE_SETUP_FAILED`, and the setup runs again for the next task. On the event loop, and in the program itself, nothing
 * is called.
 * @param moduleUrl `import.meta.url`, or `__filename` in CommonJS.
 */
export function laneSetup(moduleUrl: string | URL, setup: LaneSetup): void {
  rules.function(setup, 'the setup of laneSetup()');
  const url = toModuleUrl(moduleUrl);
  const ofModule = setups.byModule.get(url) ?? new Map<string, Registered>();
  setups.byModule.set(url, ofModule);
  ofModule.set(callSite(laneSetup), { setup, done: undefined });
}

/** Runs the setups of a module that have not run yet. Rejects with `LANE_SETUP_FAILED`. */
export async function setUpLane(moduleUrl: string | undefined): Promise<void> {
  if (moduleUrl === undefined) return;
  for (const registered of setups.byModule.get(moduleUrl)?.values() ?? []) {
    registered.done ??= setUp(registered.setup);
    try {
      await registered.done;
    } catch (cause) {
      registered.done = undefined;
      const message = `the setup that ${moduleUrl} passes to laneSetup() has failed: ${messageOf(cause)}`;
      throw new TaskwardenError('LANE_SETUP_FAILED', message, { cause });
    }
  }
}

async function setUp(setup: LaneSetup): Promise<void> {
  const teardown = await setup();
  if (typeof teardown === 'function') setups.teardowns.push(teardown);
}

export function hasTeardowns(): boolean {
  return setups.teardowns.length > 0;
}

/** Runs the teardowns, the last one first. */
export async function tearDownLane(onProblem: (problem: unknown) => void): Promise<void> {
  for (const teardown of setups.teardowns.splice(0).reverse()) {
    try {
      await teardown();
    } catch (problem) {
      onProblem(problem);
    }
  }
}
