/** Row 13. Needs redis-server. */
import { startRedis } from '../../test/servers/redis.ts';
import { compareCouriers } from '../couriers/comparison.ts';
import type { Measurement, Pace } from '../measure.ts';

export function measure(pace: Pace): Promise<Measurement[]> {
  return compareCouriers(startRedis, pace);
}
