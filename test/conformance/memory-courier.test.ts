/** The memory courier keeps the contract of couriers. */
import { MemoryTaskCourier } from 'taskwarden';
import { courierConformance } from './courier.ts';
import { courierDeadlines } from './courier-deadlines.ts';
import { courierKeys } from './courier-keys.ts';
import { courierValues } from './courier-values.ts';
import { courierWork } from './courier-work.ts';

const tested = { name: 'MemoryTaskCourier', create: async (options: object) => new MemoryTaskCourier(options) };

courierConformance(tested);
courierKeys(tested);
courierDeadlines(tested);
courierWork(tested);

courierValues({
  name: 'MemoryTaskCourier',
  copiesInMemory: true,
  create: async () => new MemoryTaskCourier(),
});
