/**
 * What TypeScript infers, and what it says of programs that are wrong: words that say what to do instead. One run of the
 * compiler for both. Each test of the `*.test-d.ts` is a test here, and passes if there is no error in its lines.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Diagnostic, Node, Program } from 'typescript';
import { beforeAll, describe, expect, it } from 'vitest';
import { ts } from '../typescript.ts';

const folder = import.meta.dirname;
const root = join(folder, '../..');
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

const written = new Map(
  ['', ...wrong.map(([program]) => program)].map((text, n) => [join(folder, `wrong-${n}.ts`), `${before}${text}\n`]),
);
const inferring = readdirSync(folder).filter((name) => name.endsWith('.test-d.ts'));

let program: Program;

/** Compiles them together, each in a file of its own, by the options of this repository. */
beforeAll(() => {
  const { config } = ts.readConfigFile(join(root, 'tsconfig.json'), ts.sys.readFile);
  const { options } = ts.parseJsonConfigFileContent(config, ts.sys, root);
  const host = ts.createCompilerHost(options);
  host.jsDocParsingMode = ts.JSDocParsingMode.ParseForTypeErrors; // as tsc does
  const { getSourceFile, fileExists, readFile } = host;
  host.fileExists = (name) => written.has(name) || fileExists(name);
  host.readFile = (name) => written.get(name) ?? readFile(name);
  host.getSourceFile = (name, version, ...rest) => {
    const text = written.get(name);
    return text === undefined ? getSourceFile(name, version, ...rest) : ts.createSourceFile(name, text, version);
  };
  program = ts.createProgram([...written.keys(), ...inferring.map((name) => join(folder, name))], options, host);
}, 120_000);

function diagnosticsOf(file: string): readonly Diagnostic[] {
  const source = program.getSourceFile(file);
  if (source === undefined) throw new Error(`${file} was not compiled`);
  return ts.getPreEmitDiagnostics(program, source);
}

function textOf({ messageText }: Diagnostic): string {
  return ts.flattenDiagnosticMessageText(messageText, '\n');
}

it('says what is wrong, and no more', { timeout: 120_000 }, () => {
  const said = [...written.keys()].map((file) => diagnosticsOf(file).map(textOf));
  expect(said.shift()).toEqual([]);
  for (const [n, [text, ...messages]] of wrong.entries()) {
    expect(said[n], text).toEqual(messages.map((message) => expect.stringMatching(message)));
  }
});

interface TypeTest {
  readonly title: string;
  readonly start: number;
  readonly end: number;
}

/** The tests of a file, each with the names of what it is in. */
function testsIn(node: Node, path: readonly string[] = []): TypeTest[] {
  const tests: TypeTest[] = [];
  ts.forEachChild(node, (child) => {
    const call =
      ts.isExpressionStatement(child) && ts.isCallExpression(child.expression) ? child.expression : undefined;
    const [name, body] = call?.arguments ?? [];
    if (call === undefined || name === undefined || body === undefined || !ts.isStringLiteralLike(name)) return;
    const names = [...path, name.text];
    const callee = call.expression.getText();
    if (callee === 'it') tests.push({ title: names.join(' > '), start: child.getStart(), end: child.end });
    if (callee === 'describe' && ts.isArrowFunction(body)) tests.push(...testsIn(body.body, names));
  });
  return tests;
}

describe.each(inferring)('%s', (name) => {
  const file = join(folder, name);
  const text = readFileSync(file, 'utf8');
  const source = ts.createSourceFile(file, text, ts.ScriptTarget.ESNext, true);
  const tests = testsIn(source);

  /** Those errors of the file, with their lines. */
  function errors(isAsked: (position: number) => boolean): string[] {
    return diagnosticsOf(file)
      .filter(({ start = 0 }) => isAsked(start))
      .map((each) => `${source.getLineAndCharacterOfPosition(each.start ?? 0).line + 1}: ${textOf(each)}`);
  }

  it('has no error outside of its tests, all of which are found', { timeout: 120_000 }, () => {
    expect(tests.length).toBe([...text.matchAll(/^\s*it\(/gm)].length);
    expect(errors((position) => !tests.some(({ start, end }) => position >= start && position < end))).toEqual([]);
  });

  for (const { title, start, end } of tests) {
    it(title, { timeout: 120_000 }, () => {
      expect(errors((position) => position >= start && position < end)).toEqual([]);
    });
  }
});
