/** The memory courier keeps the contract of couriers. */
import { MemoryTaskCourier } from 'taskwarden';
import { courierConformance } from './courier.ts';
import { courierValues } from './courier-values.ts';

courierConformance({
  name: 'MemoryTaskCourier',
  create: async (options) => new MemoryTaskCourier(options),
});

courierValues({
  name: 'MemoryTaskCourier',
  copiesInMemory: true,
  create: async () => new MemoryTaskCourier(),
});
