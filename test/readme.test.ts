/** The README and docs/ tell the truth: their programs print what they say, and their tables are those of the code. */
import { execFile } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { copyFile, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { errorCodes } from 'taskwarden';
import type { ClassDeclaration, Declaration, InterfaceDeclaration, SourceFile } from 'typescript';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { taskRules } from '../src/task/call/task-options.ts';
import { newerNode, nodeWithSqlite } from './servers/newer-node.ts';
import { type RedisServer, startRedis } from './servers/redis.ts';
import { ts } from './typescript.ts';

const run = promisify(execFile);
const root = fileURLToPath(new URL('..', import.meta.url));
const pages: ReadonlyMap<string, string> = new Map(
  ['README.md', ...filesUnder('docs')].map((file) => [file, readFileSync(join(root, file), 'utf8')]),
);

interface Block {
  readonly language: string;
  readonly text: string;
}

const blocks: readonly Block[] = [...pages.values()].flatMap((page) =>
  [...page.matchAll(/^```(\w+)\n(.*?)^```$/gms)].map(([, language = '', text = '']) => ({ language, text })),
);

/** Code whose first line names its file; the text block that follows is what it prints. */
const programs = blocks.flatMap(({ language, text }, index) => {
  if (language !== 'js' && language !== 'ts') return [];
  const file = /^\/\/ (\S+)\n/.exec(text)?.[1];
  const next = blocks[index + 1];
  return [{ file, text, output: next?.language === 'text' ? next.text : undefined }];
});

/** Calls of the command line, each with what it prints. */
const commands = blocks.flatMap(({ language, text }, index) => {
  const next = blocks[index + 1];
  const isCalled = language === 'sh' && text.startsWith('npx taskwarden') && next?.language === 'text';
  return isCalled ? [[text, next.text] as const] : [];
});

describe('the programs of the README and of docs', () => {
  let directory: string;

  let redis: RedisServer;

  beforeAll(async () => {
    redis = await startRedis();
    directory = await mkdtemp(join(tmpdir(), 'readme-'));
    await mkdir(join(directory, 'node_modules', '@types'), { recursive: true });
    await symlink(root, join(directory, 'node_modules', 'taskwarden'));
    for (const name of ['tsx', '@types/node', 'undici-types']) {
      await symlink(join(root, 'node_modules', name), join(directory, 'node_modules', name));
    }
    await writeFile(join(directory, 'package.json'), JSON.stringify({ type: 'module' }));
    for (const { file, text } of programs) if (file !== undefined) await writeFile(join(directory, file), text);
  });

  afterAll(async () => {
    await redis.stop();
    await rm(directory, { recursive: true });
  });

  it('and its calls of the command line are found', () => {
    expect(commands.length).toBeGreaterThan(1);
  });

  it('each name their file in the first line', () => {
    expect(programs.length).toBeGreaterThan(15);
    expect(programs.filter(({ file }) => file === undefined)).toEqual([]);
    expect(new Set(programs.map(({ file }) => file)).size).toBe(programs.length);
  });

  it('each say what they print, apart from the module that they share', () => {
    expect(programs.filter(({ output }) => output === undefined).map(({ file }) => file)).toEqual(['work.ts']);
  });

  it('pass the type check with the configuration of the README, and are compiled with it', { timeout: 120_000 }, () => {
    const block = blocks.find(({ language, text }) => language === 'json' && text.includes('compilerOptions'));
    const config = JSON.parse(block?.text ?? '');
    const output = { noEmit: false, rewriteRelativeImportExtensions: true, outDir: compiled, rootDir: '.' };
    expect(typeCheck({ compilerOptions: { ...config.compilerOptions, ...output } })).toBe('');
  });

  it('pass the strictest type check', { timeout: 120_000 }, () => {
    const compilerOptions = { rootDir: '.' };
    expect(typeCheck({ extends: join(root, 'tsconfig.json'), compilerOptions, include: ['*.ts'] })).toBe('');
  });

  /** All declarations: most of what a check reads, and the same in each. */
  const declared = new Map<string, SourceFile | undefined>();

  /** Compiles the programs, as tsc would with such a configuration. Returns what that would print. */
  function typeCheck(config: object): string {
    const file = join(directory, 'tsconfig.json');
    const { options, fileNames, errors } = ts.parseJsonConfigFileContent(config, ts.sys, directory, {}, file);
    const host = ts.createCompilerHost(options);
    host.jsDocParsingMode = ts.JSDocParsingMode.ParseForTypeErrors; // as tsc does
    const { getSourceFile } = host;
    host.getSourceFile = (name, ...rest) => {
      if (!name.endsWith('.d.ts')) return getSourceFile(name, ...rest);
      if (!declared.has(name)) declared.set(name, getSourceFile(name, ...rest));
      return declared.get(name);
    };
    const program = ts.createProgram(fileNames, options, host);
    const problems = [...errors, ...ts.getPreEmitDiagnostics(program), ...program.emit().diagnostics];
    return ts.formatDiagnostics(problems, host);
  }

  for (const { file, text, output } of programs) {
    if (file === undefined || output === undefined) continue;
    it(`${file} prints what its page says, and ends by itself`, async () => {
      const isNewer = text.includes('taskwarden/sqlite');
      if (isNewer) await newerNode();
      const node = isNewer ? nodeWithSqlite : process.execPath;
      const { stdout, stderr } = await run(node, howToRun(file), {
        cwd: directory,
        env: { ...process.env, REDIS_URL: redis.url },
      });
      expect({ stdout, stderr }).toEqual({ stdout: output, stderr: '' });
    });
  }

  /** As it was compiled: tsx takes long, in each thread, too, and has tests of its own. */
  function howToRun(file: string): string[] {
    return [file.endsWith('.ts') ? join(compiled, file.replace(/ts$/, 'js')) : file];
  }

  it.each(['cancel.ts', 'children.ts'])('%s prints the same with tsx', async (file) => {
    const { stdout } = await run(process.execPath, ['--import', 'tsx', file], { cwd: directory });
    expect(stdout).toBe(programs.find((program) => program.file === file)?.output);
  });

  it.each(commands)('are run by the command line, with the output that their page says: %s', async (lines, output) => {
    let printed = '';
    for (const line of lines.trim().split('\n')) {
      const [, , ...words] = line.split(' ');
      printed += (await run(process.execPath, [main, ...words], { cwd: directory })).stdout;
    }
    expect(printed).toBe(output);
  });
});

const compiled = 'compiled';
const main = join(root, 'dist/src/cli/main.js');

/** The rows of each table under a heading: cells without their backquotes. */
function tables(heading: string, page: string): string[][][] {
  const section = pages
    .get(page)
    ?.split(/^#+ (?=.*\n)/m)
    .find((each) => each.startsWith(`${heading}\n`));
  if (section === undefined) throw new Error(`${page} has no section "${heading}"`);
  return section
    .split('\n\n')
    .filter((part) => part.startsWith('|'))
    .map((table) =>
      table
        .trim()
        .split('\n')
        .slice(2)
        .map((row) => row.split('|').slice(1, -1))
        .map((cells) => cells.map((cell) => cell.trim())),
    );
}

/** The first cell of each row, as the bare name of what it is about: `stop({ wait })` is stop. */
function names(table: readonly string[][] | undefined): string[] {
  return (table ?? []).map(([cell = '']) => /^`([\w:-]+|\[Symbol\.\w+\])/.exec(cell)?.[1] ?? cell);
}

const sources: readonly string[] = filesUnder('src').map((file) => readFileSync(join(root, file), 'utf8'));

/** The exported interface or class of that name. */
function declarationOf(type: string): InterfaceDeclaration | ClassDeclaration {
  const found = sources
    .filter((text) => new RegExp(`\\b(interface|class) ${type}\\b`).test(text))
    .flatMap((text) => [...ts.createSourceFile('', text, ts.ScriptTarget.ESNext, true).statements])
    .filter((node) => ts.isInterfaceDeclaration(node) || ts.isClassDeclaration(node))
    .filter(({ modifiers }) => modifiers?.some(({ kind }) => kind === ts.SyntaxKind.ExportKeyword))
    .filter(({ name }) => name?.text === type);
  const [declaration] = found;
  if (declaration === undefined || found.length > 1) throw new Error(`not one ${type} is exported`);
  return declaration;
}

/** The members of an exported interface or class, apart from private and internal ones. */
function members(type: string): string[] {
  return [...declarationOf(type).members].flatMap((member) => {
    const { name } = member;
    const isInternal = ts.getJSDocTags(member).some(({ tagName }) => tagName.text === 'internal');
    const isProtected = (ts.getCombinedModifierFlags(member as Declaration) & ts.ModifierFlags.Protected) !== 0;
    if (name === undefined || ts.isPrivateIdentifier(name) || isInternal || isProtected) return [];
    return [ts.isStringLiteral(name) ? name.text : name.getText()];
  });
}

function expectSame(documented: readonly string[], actual: readonly string[]): void {
  expect(actual.length).toBeGreaterThan(0);
  expect([...documented].sort()).toEqual([...actual].sort());
}

describe('the tables of docs', () => {
  it('have every error code, with its meaning', () => {
    const [table = []] = tables('Errors', 'docs/reference/errors.md');
    expect(table.map(([code, meaning]) => [code?.replaceAll('`', ''), meaning])).toEqual(Object.entries(errorCodes));
  });

  it('have every task option', () => {
    expectSame(names(tables('Task options', 'docs/reference/tasks.md')[0]), Object.keys(taskRules));
  });

  it('have every member of a handle', () => {
    expectSame(names(tables('Handle', 'docs/reference/tasks.md')[0]), members('TaskHandle'));
  });

  it('have every field of TaskInfo', () => {
    expectSame(names(tables('TaskInfo', 'docs/reference/tasks.md')[0]), members('TaskInfo'));
  });

  it('have all that a task sees of itself', () => {
    expectSame(names(tables('Inside a task', 'docs/reference/tasks.md')[0]), members('TaskContext'));
  });

  it('have every option of a supervisor and of its pools', () => {
    const [options, threads] = tables('Supervisor options', 'docs/reference/supervisor.md');
    expectSame(names(options), members('SupervisorOptions'));
    expectSame(names(threads), [...members('PoolOptions'), ...members('ThreadOptions')]);
  });

  it('have every public member of a supervisor', () => {
    expectSame(names(tables('Supervisor members', 'docs/reference/supervisor.md')[0]), [
      ...members('TaskSupervisor'),
      ...members('SupervisorEmitter'),
    ]);
  });

  it('have every option of stop, block, map and getTasks', () => {
    const cells = [
      ...tables('Supervisor members', 'docs/reference/supervisor.md').flat(),
      ...tables('Defining tasks', 'docs/reference/tasks.md').flat(),
    ].map(([cell = '']) => cell);
    const keysOf = (call: string): string[] => {
      const cell = cells.find((each) => each.includes(`${call}(`)) ?? '';
      return (/\{ (.*) \}/.exec(cell)?.[1] ?? '').split(', ');
    };
    expectSame(keysOf('stop'), members('StopOptions'));
    expectSame(keysOf('block'), members('BlockOptions'));
    expectSame(keysOf('getTasks'), members('TaskFilter'));
    expectSame(keysOf('task.map'), members('MapOptions'));
  });

  it('have every flag of taskwarden map', async () => {
    const { stdout } = await run(process.execPath, [main, 'map', '--help']);
    const [table = []] = tables('How do I use it from the command line?', 'docs/questions/command-line.md');
    const flags = (text: string) => text.match(/--[\w-]+/g) ?? [];
    expectSame(
      table.flatMap(([cell = '']) => flags(cell)),
      flags(stdout),
    );
  });

  it('have every option and member of a schedule', () => {
    const [options, schedule] = tables('Schedules', 'docs/reference/schedules.md');
    expectSame(names(options), [...members('ScheduleTimes'), ...members('ScheduleRules')]);
    expectSame(names(schedule), members('Schedule'));
    expectSame(names(tables('Once for all machines', 'docs/reference/schedules.md')[0]), members('ScheduleSharing'));
  });

  it('have every option and member of background workers', () => {
    const page = 'docs/reference/background-workers.md';
    const [common, timed, queue] = tables('Options', page);
    expectSame(names(common), [...members('WorkerOptions'), ...members('WorkerHooks')]);
    expectSame(names(timed), members('IntervalOptions'));
    expectSame(names(queue), members('QueueOptions'));
    const [worker, some] = tables('Members', page);
    expectSame(names(worker), [
      ...members('HookedWorker'),
      ...members('PausableWorker'),
      ...members('BackgroundWorker'),
    ]);
    const kinds = ['BackgroundEventWorker', 'BackgroundIntervalWorker', 'BackgroundQueueWorker'];
    expectSame(names(some), kinds.flatMap(members));
  });

  it('have every method and option of couriers and of their workers', () => {
    const page = 'docs/reference/couriers.md';
    const [overBullMq] = tables('BullMQTaskCourier', 'docs/many-machines.md');
    expectSame(names(overBullMq), members('BullMQCourierOptions'));
    const [inFile] = tables('SqliteTaskCourier', 'docs/durable.md');
    expectSame(names(inFile), members('SqliteCourierOptions'));
    const [client, task] = tables("The client's side", page);
    expectSame(names(client), members('ClientTaskCourier'));
    expectSame(names(task), members('AddOptions'));
    const [worker, memory] = tables("The worker's side", page);
    expectSame(names(worker), members('WorkerTaskCourier'));
    expectSame(names(memory), members('MemoryCourierOptions'));
    expectSame(names(tables('Workers on a queue', page)[0]), members('BaseWorker'));
  });

  it('have every option and member of a module', () => {
    const [options, module] = tables('Options and members', 'docs/reference/modules.md');
    expectSame(names(options), [...members('ModuleOptions'), ...members('NewModuleOptions')]);
    expectSame(names(module), [...new Set(members('TaskModule'))]);
  });

  it('have every event, with the fields of its payload', () => {
    const [table = []] = tables('Events', 'docs/reference/supervisor.md');
    const declared = declarationOf('SupervisorEvents').getText();
    const events = [...declared.matchAll(/^ {2}'([\w:-]+)': (.*?);\n(?= {2}['/]|})/gms)].map(
      ([, event = '', payload = '']) => {
        const fields = [...payload.matchAll(/readonly (\w+):/g)].map(([, field]) => field);
        return [event, payload.startsWith('TaskEvent') ? ['task', ...fields] : fields];
      },
    );
    expectSame(names(table), members('SupervisorEvents'));
    expect(table.map(([event = '', payload = '']) => [event.replaceAll('`', ''), payload.match(/\w+/g)])).toEqual(
      events,
    );
  });
});

/** From the root of the project, with slashes. */
function filesUnder(directory: string): string[] {
  return readdirSync(join(root, directory), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(root, join(entry.parentPath, entry.name)).replaceAll('\\', '/'));
}

it('the README is short: the rest is in docs', () => {
  expect(Buffer.byteLength(pages.get('README.md') ?? '')).toBeLessThanOrEqual(25_000);
});

it('the glossary is short', () => {
  const [words = []] = tables('Glossary', 'docs/glossary.md');
  expect(words.length).toBeLessThanOrEqual(20);
});

it('the page about the architecture has every room of src, with its folders', () => {
  const page = readFileSync(join(root, 'docs/contributing/architecture.md'), 'utf8');
  const listed = [...page.matchAll(/^\| `([\w/-]+)\/`/gm)].map(([, folder]) => folder as string);
  const folders = new Set(filesUnder('src').map((path) => dirname(path).replace(/^src\/?/, '')));
  folders.delete('');
  expectSame(
    listed,
    [...folders].filter((folder) => !/^integrations$/.test(folder)),
  );
});

describe('the links of the README and of docs', () => {
  const links = [...pages].flatMap(([page, text]) =>
    [...withoutCode(text).matchAll(/\]\(([^)\s]+)\)/g)]
      .map(([, target = '']) => target)
      .filter((target) => !/^https?:/.test(target))
      .map((target) => {
        const [path = '', anchor] = target.split('#');
        return { link: `${page}: ${target}`, path: path === '' ? page : join(dirname(page), path), anchor };
      }),
  );

  it('lead to what is there', () => {
    expect(links.length).toBeGreaterThan(50);
    const isThere = (path: string) => existsSync(join(root, path));
    expect(links.filter(({ path }) => !isThere(path)).map(({ link }) => link)).toEqual([]);
  });

  it('lead to headings that are there', () => {
    const hasAnchor = (path: string, anchor: string) =>
      anchors(readFileSync(join(root, path), 'utf8')).includes(anchor);
    const broken = links.filter(({ path, anchor }) => anchor !== undefined && !hasAnchor(path, anchor));
    expect(broken.map(({ link }) => link)).toEqual([]);
  });

  it('hold in the package, too', async () => {
    // npm goes by names alone, and reads and packs all that is there: it gets what links lead to, empty.
    const names = await mkdtemp(join(tmpdir(), 'readme-'));
    onTestFinished(() => rm(names, { recursive: true }));
    for (const { path } of links) {
      const isFolder = statSync(join(root, path)).isDirectory();
      await mkdir(join(names, isFolder ? path : dirname(path)), { recursive: true });
      await writeFile(join(names, path, isFolder ? 'file.md' : ''), '');
    }
    await copyFile(join(root, 'package.json'), join(names, 'package.json'));
    const { stdout } = await run('npm', ['pack', '--dry-run', '--json', '--ignore-scripts'], { cwd: names });
    const [{ files }] = JSON.parse(stdout) as [{ files: { path: string }[] }];
    const packed = new Set(files.flatMap(({ path }) => [path, dirname(path)]));
    expect(links.filter(({ path }) => !packed.has(path.replace(/\/$/, ''))).map(({ link }) => link)).toEqual([]);
  });

  it('lead from the index to every page of docs', () => {
    const targets = links.filter(({ link }) => link.startsWith('docs/README.md:')).map(({ path }) => path);
    expectSame(
      [...new Set(targets)].filter((path) => path.startsWith('docs/')),
      filesUnder('docs').filter((path) => path !== 'docs/README.md'),
    );
  });
});

function withoutCode(text: string): string {
  return text.replaceAll(/^```\w*\n.*?^```$/gms, '');
}

/** What a link to a heading is called, as GitHub and npm do it. */
function anchors(text: string): string[] {
  const seen = new Map<string, number>();
  return [...withoutCode(text).matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) => {
    const name = heading
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
      .replaceAll(' ', '-');
    const count = seen.get(name) ?? 0;
    seen.set(name, count + 1);
    return count === 0 ? name : `${name}-${count}`;
  });
}
