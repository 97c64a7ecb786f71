import { TaskSupervisor, tasksFrom } from 'taskwarden';
import { report, threads } from './report.mjs';

export function run(job, inputsFile) {
  return report(inputsFile, async (inputs) => {
    const supervisor = new TaskSupervisor({ threads: { poolSize: threads } });
    const { work } = tasksFrom(new URL(job), { supervisor });
    const results = [];
    const argumentLists = inputs.map((input) => [input]);
    for await (const result of work.map(argumentLists, { ordered: true })) results.push(result);
    return results;
  });
}
