/** What a module does once in each thread or child before its tasks run there, and what it cleans up at the end. */
import { TaskwardenError } from '../../base/errors.ts';
import { messageOf } from '../../base/foreign-value.ts';
import { rules } from '../../base/options.ts';
import { callSite } from '../../platform/stack-traces.ts';
import { toModuleUrl } from '../definition/module-url.ts';

/** Called when the thread or child ends; awaited, but not for ever. */
export type LaneTeardown = () => unknown;

/** Called in each thread or child, and awaited. What it gives is called at the end, if that is a function. */
// biome-ignore lint/suspicious/noConfusingVoidType: that is what a function without a result returns.
export type LaneSetup = () => LaneTeardown | void | Promise<LaneTeardown | void>;

interface Registered {
  readonly setup: LaneSetup;
  done: Promise<void> | undefined;
}

interface Setups {
  /** By the URL of the module, then by the place in it: a module that is evaluated anew replaces its own. */
  readonly byModule: Map<string, Map<string, Registered>>;
  readonly teardowns: LaneTeardown[];
}

// One for all copies of the package in a thread.
const setupsSymbol = Symbol.for('taskwarden.laneSetups');
const holder = globalThis as { [setupsSymbol]?: Setups };
holder[setupsSymbol] ??= { byModule: new Map(), teardowns: [] };
const setups: Setups = holder[setupsSymbol];

/**
 * Registers what each thread or child does once before the first task of the module; call it at the module's top level.
 * What the setup gives is called when that thread or child ends: when it retires, is recycled, or its supervisor stops;
 * not when it dies or is ended by force. A setup that fails fails the task with `LANE_SETUP_FAILED`, and is tried again
 * for the next one. On the event loop, and in the program itself, nothing is called.
 * @param moduleUrl `import.meta.url`, or `__filename` in CommonJS.
 */
export function laneSetup(moduleUrl: string | URL, setup: LaneSetup): void {
  rules.function(setup, 'the setup of laneSetup()');
  const url = toModuleUrl(moduleUrl);
  const ofModule = setups.byModule.get(url) ?? new Map<string, Registered>();
  setups.byModule.set(url, ofModule);
  ofModule.set(callSite(laneSetup), { setup, done: undefined });
}

/** Sets up what the module asks for, unless that was done. Rejects with `LANE_SETUP_FAILED`. */
export async function setUpLane(moduleUrl: string | undefined): Promise<void> {
  if (moduleUrl === undefined) return;
  for (const registered of setups.byModule.get(moduleUrl)?.values() ?? []) {
    registered.done ??= setUp(registered.setup);
    try {
      await registered.done;
    } catch (cause) {
      registered.done = undefined;
      const message = `what ${moduleUrl} gives laneSetup() to do before its tasks has failed: ${messageOf(cause)}`;
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

/** Cleans up, the last first. */
export async function tearDownLane(onProblem: (problem: unknown) => void): Promise<void> {
  for (const teardown of setups.teardowns.splice(0).reverse()) {
    try {
      await teardown();
    } catch (problem) {
      onProblem(problem);
    }
  }
}
