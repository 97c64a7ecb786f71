import { MemoryTaskCourier } from 'taskwarden';
import { testCourierDoors } from './courier-doors.ts';

testCourierDoors('MemoryTaskCourier', () => new MemoryTaskCourier());
