import { ThreadWorker } from 'poolifier';
import { clock, spinLow } from './work.mjs';

export default new ThreadWorker({
  clock: { taskFunction: clock, priority: -20 },
  spinLow: { taskFunction: spinLow, priority: 19 },
});
