/** The memory courier keeps the contract of couriers. */
import { MemoryTaskCourier } from 'taskwarden';
import { courierConformance } from './courier.ts';

courierConformance({
  name: 'MemoryTaskCourier',
  create: async (options) => new MemoryTaskCourier(options),
});
