/** What the compiler knows of schedules. */
import {
  backgroundTask,
  MemoryTaskCourier,
  type Schedule,
  type ScheduleState,
  type TaskHandle,
  taskSupervisor,
} from 'taskwarden';
import { describe, expectTypeOf, it } from 'vitest';

const resize = async (path: string, width: number) => ({ path, bytes: width });
const resizeTask = backgroundTask(import.meta.url, resize, { name: 'resize' });
type Resized = { path: string; bytes: number };

describe('scheduleTask()', () => {
  it('takes a background task or a function, and gives a schedule whose trigger gives a handle of its result', () => {
    const args: [string, number] = ['a.png', 200];
    const schedule = taskSupervisor.scheduleTask(resizeTask, { args, delayMs: 1_000, recurring: true, runNow: true });
    expectTypeOf(schedule).toEqualTypeOf<Schedule<TaskHandle<Resized>>>();
    expectTypeOf(schedule.trigger()).toEqualTypeOf<TaskHandle<Resized> | undefined>();
    expectTypeOf(taskSupervisor.scheduleTask(resize, { args, cron: '@daily', timezone: 'UTC' })).toEqualTypeOf(
      schedule,
    );
  });

  it('requires the arguments of a function that takes some, and of no other', () => {
    // @ts-expect-error no options at all
    taskSupervisor.scheduleTask(resize);
    // @ts-expect-error no arguments
    taskSupervisor.scheduleTask(resize, { delayMs: 5 });
    // @ts-expect-error of another type
    taskSupervisor.scheduleTask(resizeTask, { args: ['a.png', '200'] });
    // @ts-expect-error it takes none
    taskSupervisor.scheduleTask(() => 1, { args: [1] });
    expectTypeOf(taskSupervisor.scheduleTask(() => 1)).toEqualTypeOf<Schedule<TaskHandle<number>>>();
  });

  it('types the callback by the result', () => {
    taskSupervisor.scheduleTask(resize, {
      args: ['a.png', 200],
      callback: (result) => expectTypeOf(result).toEqualTypeOf<Resized>(),
    });
  });

  it('takes a courier of both sides, and its queue', () => {
    const courier = new MemoryTaskCourier();
    const schedule = taskSupervisor.scheduleTask(() => 1, { cron: '@daily', courier, queue: 'nightly' });
    expectTypeOf(schedule).toEqualTypeOf<Schedule<TaskHandle<number>>>();
    // @ts-expect-error no courier
    taskSupervisor.scheduleTask(() => 1, { cron: '@daily', courier: 'redis://localhost' });
  });

  it('refuses wrong options', () => {
    // @ts-expect-error no such way
    taskSupervisor.scheduleTask(() => 1, { overlap: 'wait' });
    // @ts-expect-error no such way
    taskSupervisor.scheduleTask(() => 1, { missed: 'all' });
    // @ts-expect-error a typo
    taskSupervisor.scheduleTask(() => 1, { reocurring: true });
    // @ts-expect-error no such priority
    taskSupervisor.scheduleTask(() => 1, { priority: 'urgent' });
  });
});

describe('Schedule', () => {
  const schedule = taskSupervisor.scheduleTask(() => 1);

  it('has its state, its times and its counts', () => {
    expectTypeOf(schedule.id).toEqualTypeOf<string>();
    expectTypeOf(schedule.name).toEqualTypeOf<string>();
    expectTypeOf(schedule.state).toEqualTypeOf<ScheduleState>();
    expectTypeOf(schedule.nextRun).toEqualTypeOf<number | undefined>();
    expectTypeOf(schedule.lastRun).toEqualTypeOf<number | undefined>();
    expectTypeOf([schedule.runs, schedule.skipped, schedule.missed]).toEqualTypeOf<number[]>();
    expectTypeOf(schedule.cancel()).toEqualTypeOf<void>();
    // @ts-expect-error it is for reading
    schedule.nextRun = 5;
  });

  it('is one of those that the supervisor lists', () => {
    expectTypeOf(taskSupervisor.getSchedules()).toEqualTypeOf<Schedule<TaskHandle<unknown>>[]>();
    expectTypeOf(schedule).toExtend<Schedule<TaskHandle<unknown>>>();
  });
});
