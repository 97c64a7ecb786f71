import { Piscina } from 'piscina';
import { report, threads } from './report.mjs';

export function run(job, inputsFile) {
  return report(inputsFile, (inputs) => {
    const pool = new Piscina({ filename: job, name: 'work', maxThreads: threads });
    return Promise.all(inputs.map((input) => pool.run(input)));
  });
}
