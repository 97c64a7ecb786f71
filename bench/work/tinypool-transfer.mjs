import { Tinypool } from 'tinypool';

export function touch(buffer) {
  new Uint8Array(buffer)[0] += 1;
  return Tinypool.move(buffer);
}
