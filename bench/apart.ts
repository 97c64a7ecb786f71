/** Programs of the bench that run in a process of their own, and send one answer to who started them. */
import { fork } from 'node:child_process';
import { once } from 'node:events';

process.once('disconnect', () => process.exit()); // a program ends with the one that started it

/** Starts one, on a heap that can be collected at will and large enough for a million tasks of any library. */
export async function apart<Answer>(program: URL, ...args: readonly string[]): Promise<Answer> {
  const child = fork(program, args, { execArgv: ['--expose-gc', '--max-old-space-size=8192', '--import', 'tsx'] });
  let answer: { readonly value: Answer } | undefined;
  child.once('message', (value) => {
    answer = { value: value as Answer };
  });
  const [exitCode] = await once(child, 'exit');
  if (answer === undefined) throw new Error(`${program.pathname} ${args.join(' ')} ended with exit code ${exitCode}`);
  return answer.value;
}

/** Ends this process with an answer, whatever a library has left running. */
export function answer(value: unknown): void {
  process.send?.(value, () => process.exit());
}
