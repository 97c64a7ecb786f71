/** The public names of taskwarden/bullmq, and nothing else. */
export { type BullMQCourierOptions, BullMQTaskCourier } from './bullmq-courier.ts';
