/** What the compiler says of programs that are wrong: words that say what to do instead. */
import { join } from 'node:path';
import ts from 'typescript';
import { expect, it } from 'vitest';

const root = join(import.meta.dirname, '../..');
const before = `
import { backgroundTask, backgroundWorker, taskSupervisor } from 'taskwarden';
const resize = backgroundTask(import.meta.url, async function resize(path: string, width = 100) {
  return { path, width };
});
class Image {}
void [backgroundTask, backgroundWorker, taskSupervisor, resize, Image];
`;

/** What is written, and all that the compiler says of it. */
const wrong: readonly (readonly [program: string, ...messages: RegExp[]])[] = [
  [`resize.map(['a.png']);`, /'each input is the list of arguments of one call'.*\[path: string, width\?: number/],
  [`resize.map('a.png');`, /'ListsOfArguments<\[path: string, width\?: number/],
  [
    `resize.map([['a.png', '5']]);`,
    /'each input is the list of arguments of one call'.*\[path: string, width\?: number/,
  ],
  [`resize('a.png', 'wide');`, /^Argument of type 'string' is not assignable to parameter of type 'number'/],
  [
    `const width: string = (await resize('a.png')).width; void width;`,
    /^Type 'number' is not assignable to type 'string'/,
  ],
  [
    `backgroundTask(import.meta.url, function crop(box) { return box; });`,
    /^Parameter 'box' implicitly has an 'any' type/,
  ],
  [`backgroundTask((box) => box);`, /^Parameter 'box' implicitly has an 'any' type/],
  [`taskSupervisor.putTask((box) => box, { args: [1] });`, /^Parameter 'box' implicitly has an 'any' type/],
  [`backgroundWorker((box) => box);`, /^Parameter 'box' implicitly has an 'any' type/],
  [`resize.with({ timeout: 5 });`, /'timeout' does not exist in type 'TaskOptions<.*Did you mean to write 'timeoutMs'/],
  [`backgroundTask(Image);`, /'typeof Image' is not assignable to parameter of type 'TaskFunction'/],
];

/** Compiles them together, each in a file of its own, by the options of this repository. */
function compile(programs: readonly string[]): string[][] {
  const files = new Map(programs.map((text, n) => [join(root, `test/types/wrong-${n}.ts`), `${before}${text}\n`]));
  const { config } = ts.readConfigFile(join(root, 'tsconfig.json'), ts.sys.readFile);
  const { options } = ts.parseJsonConfigFileContent(config, ts.sys, root);
  const host = ts.createCompilerHost(options);
  const { getSourceFile, fileExists, readFile } = host;
  host.fileExists = (name) => files.has(name) || fileExists(name);
  host.readFile = (name) => files.get(name) ?? readFile(name);
  host.getSourceFile = (name, version, ...rest) => {
    const text = files.get(name);
    return text === undefined ? getSourceFile(name, version, ...rest) : ts.createSourceFile(name, text, version);
  };
  const program = ts.createProgram([...files.keys()], options, host);
  return [...files.keys()].map((name) =>
    ts
      .getPreEmitDiagnostics(program, program.getSourceFile(name))
      .map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, '\n')),
  );
}

it('says what is wrong, and no more', { timeout: 120_000 }, () => {
  const said = compile(['', ...wrong.map(([program]) => program)]);
  expect(said.shift()).toEqual([]);
  for (const [n, [program, ...messages]] of wrong.entries()) {
    expect(said[n], program).toEqual(messages.map((message) => expect.stringMatching(message)));
  }
});
