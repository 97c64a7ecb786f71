/**
 * Limits how long work that continues by microtasks alone may block a turn of the event loop: meanwhile no timer fires,
 * and no socket and no signal is handled. Code that runs user code again and again asks here before each piece. When
 * the share of this turn is used up, the piece waits for a later turn, behind those that already wait.
 *
 *   fresh ── first asked ──▶ counting ── shareMs ──▶ spent ── the loop turns ──▶ fresh: what waits goes on, one after the other
 */
import { type Moment, now, thisMoment } from './clock.ts';
import { nextTurn, Promise, queueMicrotask } from './globals.ts';

/** In milliseconds. A turn costs microseconds. Timers may fire late by this time and the time of the last piece. */
const shareMs = 5;

interface Waiting {
  readonly call: (moment: Moment) => void;
  next: Waiting | undefined;
}

/** When somebody first asked in this turn, on the clock of `now()`; undefined: nobody did. */
let beganAt: number | undefined;
let first: Waiting | undefined;
let last: Waiting | undefined;

/** Whether the next piece, which would start at `at`, has to wait for a later turn. */
export function isSpent(at: number): boolean {
  if (beganAt !== undefined) return at - beganAt >= shareMs;
  beganAt = at;
  void nextTurn().then(onTurn);
  return false;
}

/** Calls back at once, or in a later turn if this one is spent, with the moment of the call. */
export function callInTurn(call: (moment: Moment) => void): void {
  const moment = thisMoment();
  if (isSpent(moment.at)) wait(call);
  else call(moment);
}

/** For code that awaits: a promise that resolves in a later turn; undefined if this turn has time left. */
export function nextTurnIfSpent(): Promise<void> | undefined {
  return isSpent(now()) ? new Promise((resolve) => wait(() => resolve())) : undefined;
}

function wait(call: (moment: Moment) => void): void {
  const waiting: Waiting = { call, next: undefined };
  if (last === undefined) first = waiting;
  else last.next = waiting;
  last = waiting;
}

function onTurn(): void {
  beganAt = undefined;
  runNext();
}

/** Runs waiting pieces one at a time, each with its microtasks, until the turn is spent; at least one in each turn. */
function runNext(): void {
  if (first === undefined) return;
  const moment = thisMoment();
  if (isSpent(moment.at)) return;
  const { call } = first;
  first = first.next;
  if (first === undefined) last = undefined;
  try {
    call(moment);
  } finally {
    queueMicrotask(runNext);
  }
}
