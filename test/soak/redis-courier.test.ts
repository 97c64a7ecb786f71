/** Chaos around BullMQTaskCourier on a real Redis. */
import { Redis } from 'ioredis';
import { courierChaos } from '../chaos/couriers.ts';
import { startRedis } from '../servers/redis.ts';

async function ask<R>(url: string, act: (redis: Redis) => Promise<R>): Promise<R> {
  const redis = new Redis(url);
  try {
    return await act(redis);
  } finally {
    redis.disconnect();
  }
}

courierChaos({
  name: 'Redis',
  start: () => startRedis({ save: true }),
  connections: (url) =>
    ask(url, async (redis) => {
      const list = (await redis.client('LIST')) as string;
      return list.trim().split('\n').length - 1;
    }),
  breakConnections: (url) => ask(url, async (redis) => void (await redis.client('KILL', 'TYPE', 'normal'))),
  mostOfClient: 2,
  refusedUrl: async (url) => {
    await ask(url, (redis) => redis.acl('SETUSER', 'somebody', 'on', '>right'));
    return url.replace('://', '://somebody:wrong@');
  },
});
