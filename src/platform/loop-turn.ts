/**
 * How much of a turn of the event loop work may take that follows work by microtasks alone: while that goes on, no timer
 * fires, and no socket and no signal is heard. So whoever runs user code again and again asks here before each piece;
 * when the share of this turn is used up, the piece waits for a later one, behind those that wait already.
 *
 *   fresh ── first asked ──▶ counting ── shareMs ──▶ spent ── the loop turns ──▶ fresh: what waits goes on, one after the other
 */
import { type Moment, now, thisMoment } from './clock.ts';
import { nextTurn, Promise, queueMicrotask } from './globals.ts';

/** In milliseconds. A turn costs microseconds; timers may be that late, and as long as the last piece takes. */
const shareMs = 5;

interface Waiting {
  readonly call: (moment: Moment) => void;
  next: Waiting | undefined;
}

/** When this turn was first asked about, on the clock of `now()`; undefined: it was not. */
let beganAt: number | undefined;
let first: Waiting | undefined;
let last: Waiting | undefined;

/** Whether what is to come now, `at` this time, waits for a later turn. */
export function isSpent(at: number): boolean {
  if (beganAt !== undefined) return at - beganAt >= shareMs;
  beganAt = at;
  void nextTurn().then(onTurn);
  return false;
}

/** Calls at once, or, when this turn is spent, in a later one; with the moment in which that is. */
export function callInTurn(call: (moment: Moment) => void): void {
  const moment = thisMoment();
  if (isSpent(moment.at)) wait(call);
  else call(moment);
}

/** For code that awaits: resolves in a later turn; undefined if this one has time left. */
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

/** One at a time, each with the microtasks that it leaves, until the turn is spent; at least one in each turn. */
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
