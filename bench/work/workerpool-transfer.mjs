import workerpool from 'workerpool';

workerpool.worker({
  touch(buffer) {
    new Uint8Array(buffer)[0] += 1;
    return new workerpool.Transfer(buffer, [buffer]);
  },
});
