import { move } from 'piscina';

export function touch(buffer) {
  new Uint8Array(buffer)[0] += 1;
  return move(buffer);
}
