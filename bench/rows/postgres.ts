/** Row 13 on PostgreSQL, which need not write to the disk before it answers: that would be most of what is measured. */
import { startPostgres } from '../../test/servers/postgres.ts';
import { compareCouriers } from '../couriers/comparison.ts';
import type { Measurement, Pace } from '../measure.ts';

export function measure(pace: Pace): Promise<Measurement[]> {
  return compareCouriers(startPostgres, pace, [
    'plain BullMQ misses events here when jobs end at the same time, so its client also counts the completed jobs of a bulk, and then gets the results that it has not heard of',
  ]);
}
