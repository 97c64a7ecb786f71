import { TaskSupervisor, tasksFrom } from 'taskwarden';
import { report, threads } from './report.mjs';

export function run(job, inputsFile) {
  return report(inputsFile, (inputs) => {
    const supervisor = new TaskSupervisor({ threads: { poolSize: threads } });
    const { work } = tasksFrom(new URL(job), { supervisor });
    return work.all(inputs.map((input) => [input]));
  });
}
