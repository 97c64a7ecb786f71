import { TaskSupervisor, tasksFrom } from 'taskwarden';
import { report, threads } from './report.mjs';

export function run(job, inputsFile) {
  return report(inputsFile, (inputs) => {
    const supervisor = new TaskSupervisor({ threads: { poolSize: threads, reserveNormal: 0, reserveHigh: 0 } });
    const { work } = tasksFrom(new URL(job), { supervisor });
    return work.all(inputs.map((input) => [input]));
  });
}
