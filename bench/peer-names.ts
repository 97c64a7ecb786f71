/** The pools that taskwarden is compared with, as their packages are called. */
export const peerNames: readonly string[] = ['piscina', 'tinypool', 'workerpool', 'poolifier', 'jest-worker'];
