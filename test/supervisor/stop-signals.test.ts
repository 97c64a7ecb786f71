/** Signals of the process: one listener for each, for as long as anybody holds it. */
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { StopSignals } from '../../src/supervisor/stop-signals.ts';

const onSignal = vi.fn();
let signals: StopSignals;

beforeEach(() => {
  onSignal.mockReset();
  signals = new StopSignals(onSignal);
});

afterEach(() => {
  for (const signal of ['SIGUSR2', 'SIGHUP'] as const) process.off(signal, onSignal);
});

/** How many listeners of ours each signal has. */
const listening = () =>
  (['SIGUSR2', 'SIGHUP'] as const).map(
    (signal) => process.listeners(signal).filter((listener) => listener === onSignal).length,
  );

it('listens to the signals that are held, and to no other', () => {
  expect(listening()).toEqual([0, 0]);
  signals.listen(['SIGUSR2']);
  expect(listening()).toEqual([1, 0]);
  process.emit('SIGUSR2', 'SIGUSR2');
  expect(onSignal).toHaveBeenCalledTimes(1);
});

it('handles one signal once, however many listen to it', () => {
  signals.listen(['SIGUSR2', 'SIGHUP']);
  signals.listen(['SIGUSR2']);
  expect(listening()).toEqual([1, 1]);
  process.emit('SIGUSR2', 'SIGUSR2');
  expect(onSignal).toHaveBeenCalledTimes(1);
});

it('listens until the last has released it', () => {
  signals.listen(['SIGUSR2']);
  signals.listen(['SIGUSR2', 'SIGHUP']);
  signals.unlisten(['SIGUSR2', 'SIGHUP']);
  expect(listening()).toEqual([1, 0]);
  signals.unlisten(['SIGUSR2']);
  expect(listening()).toEqual([0, 0]);
});

it('can be held again', () => {
  signals.listen(['SIGUSR2']);
  signals.unlisten(['SIGUSR2']);
  signals.listen(['SIGUSR2']);
  expect(listening()).toEqual([1, 0]);
});

it('leaves the listeners of others', () => {
  const other = vi.fn();
  process.on('SIGUSR2', other);
  signals.listen(['SIGUSR2']);
  signals.unlisten(['SIGUSR2']);
  expect(process.listeners('SIGUSR2')).toContain(other);
  process.off('SIGUSR2', other);
});
