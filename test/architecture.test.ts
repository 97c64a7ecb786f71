/** Holds the rooms: who may import whom, no circles, and what every file has in common. */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, sep } from 'node:path';
import type { Node, SourceFile } from 'typescript';
import { describe, expect, it } from 'vitest';
import { ts } from './typescript.ts';

const root = join(import.meta.dirname, '..');
const sourceFile = /\.[cm]?[jt]sx?$/;

interface Import {
  /** As it is written. */
  readonly specifier: string;
  /** A file of the project, from its root, or the package or built-in. */
  readonly target: string;
  /** The compiler leaves nothing of it. */
  readonly isTypeOnly: boolean;
}

interface File {
  /** From the root of the project, with `/`. */
  readonly path: string;
  readonly text: string;
  readonly source: SourceFile;
  readonly imports: readonly Import[];
}

function readTree(folder: string): File[] {
  return readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && sourceFile.test(entry.name))
    .map((entry) => relative(root, join(entry.parentPath, entry.name)).split(sep).join('/'))
    .map((path) => readSource(path, readFileSync(join(root, path), 'utf8')));
}

function readSource(path: string, text: string): File {
  const languageVersion = ts.ScriptTarget.Latest;
  const source = ts.createSourceFile(path, text, { languageVersion, jsDocParsingMode: ts.JSDocParsingMode.ParseNone });
  const imports: Import[] = [];
  const add = (specifier: Node | undefined, isTypeOnly: boolean) => {
    if (specifier === undefined || !ts.isStringLiteralLike(specifier)) return;
    const { text } = specifier;
    imports.push({ specifier: text, target: targetOf(path, text), isTypeOnly });
  };
  const visit = (node: Node): void => {
    if (ts.isImportDeclaration(node)) {
      // `import { type A }` still loads the module: only `import type` leaves nothing.
      add(node.moduleSpecifier, node.importClause?.phaseModifier === ts.SyntaxKind.TypeKeyword);
    } else if (ts.isExportDeclaration(node)) {
      add(node.moduleSpecifier, node.isTypeOnly);
    } else if (ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument)) {
      add(node.argument.literal, true);
    } else if (ts.isCallExpression(node)) {
      const isImport = node.expression.kind === ts.SyntaxKind.ImportKeyword;
      const isRequire = ts.isIdentifier(node.expression) && node.expression.text === 'require';
      if (isImport || isRequire) add(node.arguments[0], false);
    }
    ts.forEachChild(node, visit);
  };
  visit(source);
  return { path, text, source, imports };
}

/** `piscina/x` is of the package `piscina`, `@a/b/c` of `@a/b`. */
function targetOf(path: string, specifier: string): string {
  if (specifier.startsWith('.')) return join(dirname(path), specifier).split(sep).join('/');
  if (specifier.startsWith('node:')) return specifier;
  return specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/');
}

const src = readTree('src');
const workers = readTree('workers');
const all = [...src, ...workers];

/** Each import that breaks a rule, as a line that says where. */
function broken(files: readonly File[], isBad: (each: Import) => boolean): string[] {
  return files.flatMap(({ path, imports }) =>
    imports
      .filter(isBad)
      .map(({ specifier, isTypeOnly }) => `${path} imports ${isTypeOnly ? 'type ' : ''}${specifier}`),
  );
}

const isPackage = (target: string) => !target.startsWith('src/') && !target.startsWith('workers/');

describe('how imports are read', () => {
  const text = `
    import a, { b } from './a.ts';
    import type { c } from '../c.ts';
    import { type d } from './d.ts';
    import './e.ts';
    export * from './f.ts';
    export type { g } from './g.ts';
    type H = import('./h.ts').H;
    const i = await import('piscina/dist');
    const j = require('@scope/j/k');
  `;

  it('finds all kinds, and knows those that only give types', () => {
    expect(readSource('src/lanes/x.ts', text).imports.map(({ target, isTypeOnly }) => [target, isTypeOnly])).toEqual([
      ['src/lanes/a.ts', false],
      ['src/c.ts', true],
      ['src/lanes/d.ts', false],
      ['src/lanes/e.ts', false],
      ['src/lanes/f.ts', false],
      ['src/lanes/g.ts', true],
      ['src/lanes/h.ts', true],
      ['piscina', false],
      ['@scope/j', false],
    ]);
  });

  it('finds a cycle', () => {
    const files = [
      readSource('src/a.ts', `import './b.ts';`),
      readSource('src/b.ts', `import './c.ts';`),
      readSource('src/c.ts', `import type { B } from './b.ts';`),
    ];
    expect(cycles(files)).toEqual(['src/b.ts -> src/c.ts -> src/b.ts']);
  });

  it('sees the project', () => {
    expect(all.map(({ path }) => path)).toEqual(
      expect.arrayContaining(['src/index.ts', 'src/lanes/hosts/host-lane.ts', 'workers/thread.ts']),
    );
    const unknown = broken(all, ({ specifier, target }) => {
      return specifier.startsWith('.') && !all.some(({ path }) => path === target);
    });
    expect(unknown).toEqual([]);
  });
});

describe('packages', () => {
  const importersOf = (name: string) =>
    all.filter(({ imports }) => imports.some(({ target }) => target === name)).map(({ path }) => path);

  it('only thread-host imports piscina', () => {
    expect(importersOf('piscina')).toEqual(['src/lanes/thread/thread-host.ts']);
  });

  it('only process-host imports child_process', () => {
    expect(importersOf('node:child_process')).toEqual(['src/lanes/process/process-host.ts']);
  });

  it('only events imports eventemitter3', () => {
    expect(importersOf('eventemitter3')).toEqual(['src/dispatch/events/supervisor-events.ts']);
  });

  it('only cron-pattern imports croner, and not before it is needed', () => {
    expect(importersOf('croner')).toEqual(['src/schedules/cron-pattern.ts']);
    for (const { path, text } of all) expect(text, path).not.toMatch(/^(import (?!type )|export ).*['"]croner/m);
  });

  it('only the command line imports cli-progress', () => {
    expect(importersOf('cli-progress').filter((path) => !path.startsWith('src/cli/'))).toEqual([]);
  });

  it('only what loads task modules and starts threads imports tsx, and not before it is needed', () => {
    expect(importersOf('tsx')).toEqual(['src/task/definition/import-module.ts', 'workers/from-sources.cjs']);
    for (const { path, text } of all) expect(text, path).not.toMatch(/^(import|export) .*['"]tsx/m);
  });

  it('only the integration for them imports optional peers, and not before they are needed', () => {
    for (const name of ['better-sqlite3', 'bullmq', 'ioredis', 'pg']) {
      const others = importersOf(name).filter(
        (path) => !/^src\/integrations\/((bullmq|celery|redis|sqlite)\/|redis-[a-z]+\.ts$)/.test(path),
      );
      expect(others).toEqual([]);
    }
    const early = /^(import (?!type )|export \{).*from ['"](better-sqlite3|bullmq|ioredis|pg)['"]/m;
    for (const { path, text } of all) expect(text, path).not.toMatch(early);
  });

  it('all other imports are of Node or of the project itself', () => {
    const peers = ['bullmq', 'ioredis', 'pg'];
    const allowed = new Set(['piscina', 'eventemitter3', 'croner', 'cli-progress', 'tsx', ...peers]);
    expect(
      broken(all, ({ target }) => isPackage(target) && !target.startsWith('node:') && !allowed.has(target)),
    ).toEqual([]);
  });
});

/** The rooms, each with those that it may import from. */
const rooms: Readonly<Record<string, readonly string[]>> = {
  platform: [],
  base: ['platform'],
  queue: ['platform'],
  task: ['platform', 'base', 'queue'],
  lanes: ['platform', 'base', 'queue', 'task'],
  dispatch: ['platform', 'base', 'queue', 'task', 'lanes'],
  couriers: ['platform', 'base', 'queue', 'task', 'lanes', 'dispatch'],
  schedules: ['platform', 'base', 'task', 'dispatch', 'couriers'],
  'background-workers': ['platform', 'base', 'queue', 'task', 'couriers', 'schedules'],
  supervisor: ['platform', 'base', 'queue', 'task', 'lanes', 'dispatch', 'schedules', 'background-workers'],
  integrations: ['base', 'index.ts'],
  cli: ['platform', 'base', 'queue', 'task', 'index.ts', 'integrations'],
};

const roomOf = (path: string) => path.split('/')[1] as string;
const inRoom = (room: string) => src.filter(({ path }) => roomOf(path) === room);

describe('rooms', () => {
  it('are all that there is beside the public names', () => {
    expect([...new Set(src.map(({ path }) => roomOf(path)))].sort()).toEqual(
      [...Object.keys(rooms), 'index.ts'].sort(),
    );
  });

  it.each(Object.entries(rooms))('%s imports from %s alone', (room, others) => {
    const isAllowed = (target: string) => isPackage(target) || [room, ...others].includes(roomOf(target));
    expect(broken(inRoom(room), ({ target }) => !isAllowed(target))).toEqual([]);
  });

  it('are entered by the contract: only dispatch/lane-registry knows a lane', () => {
    const others = src.filter(({ path }) => roomOf(path) !== 'lanes' && path !== 'src/dispatch/lane-registry.ts');
    const isOpen = (target: string) => ['src/lanes/lane.ts', 'src/lanes/wire/error-codec.ts'].includes(target);
    expect(
      broken(others, ({ target, isTypeOnly }) => roomOf(target) === 'lanes' && !isTypeOnly && !isOpen(target)),
    ).toEqual([]);
  });

  it('nobody imports the other side of a lane', () => {
    expect(broken(src, ({ target }) => target.startsWith('workers/'))).toEqual([]);
  });

  it('an integration knows no other but what they share, and of base only what has no state: how options are checked, and pauses', () => {
    for (const file of inRoom('integrations')) {
      const own = file.path.split('/').slice(0, 3).join('/');
      const isShared = (target: string) =>
        ['src/index.ts', 'src/base/options.ts', 'src/base/backoff.ts'].includes(target) ||
        /^src\/integrations\/[^/]+$/.test(target);
      const isAllowed = (target: string) => isPackage(target) || isShared(target) || target.startsWith(`${own}/`);
      expect(broken([file], ({ target }) => !isAllowed(target))).toEqual([]);
    }
  });

  it('nothing inside takes from the index what it can take from its place', () => {
    const others = all.filter(({ path }) => !/^src\/(cli|integrations)\//.test(path));
    expect(broken(others, ({ target }) => target === 'src/index.ts')).toEqual([]);
  });

  it('what runs in threads and children imports what crosses, and tasks', () => {
    const allowed = /^(workers\/.+|src\/lanes\/wire\/.+|src\/(platform|base|task)\/.+)$/;
    expect(broken(workers, ({ target }) => !isPackage(target) && !allowed.test(target))).toEqual([]);
  });

  it.each(['thread', 'process'])(
    'what a %s loads, directly or not, has no supervisor, no lane and no package in it',
    (name) => {
      const seen = reachable(all, `workers/${name}.ts`);
      expect(seen).toContain('workers/host-runtime.ts');
      const allowed = /^(node:.+|tsx|workers\/.+|src\/lanes\/wire\/.+|src\/(platform|base|task)\/.+)$/;
      expect(seen.filter((target) => !allowed.test(target))).toEqual([]);
    },
  );

  it('have folders that one can take in', () => {
    const counts = new Map<string, number>();
    for (const { path } of all) counts.set(dirname(path), (counts.get(dirname(path)) ?? 0) + 1);
    expect([...counts].filter(([, count]) => count > 12)).toEqual([]);
  });
});

/** All that a file loads, and what that loads. */
function reachable(files: readonly File[], start: string): string[] {
  const seen = new Set<string>([start]);
  for (const path of seen) {
    const file = files.find((each) => each.path === path);
    for (const { target, isTypeOnly } of file?.imports ?? []) if (!isTypeOnly) seen.add(target);
  }
  return [...seen];
}

/** Each circle of imports once, those of types too, from its first file in the order of the alphabet. */
function cycles(files: readonly File[]): string[] {
  const byPath = new Map(files.map((file) => [file.path, file]));
  const found = new Set<string>();
  const done = new Set<string>();
  const walk = (path: string, way: readonly string[]): void => {
    if (way.includes(path)) {
      const circle = way.slice(way.indexOf(path));
      const first = circle.indexOf([...circle].sort()[0] as string);
      const turned = [...circle.slice(first), ...circle.slice(0, first)];
      found.add([...turned, turned[0]].join(' -> '));
      return;
    }
    if (done.has(path)) return;
    for (const { target } of byPath.get(path)?.imports ?? []) walk(target, [...way, path]);
    done.add(path);
  };
  for (const path of byPath.keys()) walk(path, []);
  return [...found];
}

it('no file imports itself by a way around', () => {
  expect(cycles(all)).toEqual([]);
});

describe('every file', () => {
  it('starts with a comment that says what it is', () => {
    const headless = all.filter(({ text }) => !/^(#!.*\n)?\s*(\/\*\*?|\/\/)\s*\S?/.test(text));
    expect(headless.map(({ path }) => path)).toEqual([]);
  });

  it('has no more than 320 lines', () => {
    const long = all
      .map(({ path, text }) => ({ path, lines: text.trimEnd().split('\n').length }))
      .filter(({ lines }) => lines > 320);
    expect(long).toEqual([]);
  });

  it('has the name of a noun, and not of a drawer', () => {
    const drawers = /(^|\/)(utils?|helpers?|common|types|misc|shared)(\.|\/)/;
    expect(all.filter(({ path }) => drawers.test(path)).map(({ path }) => path)).toEqual([]);
  });

  it('has a name in kebab-case', () => {
    const odd = all.filter(
      ({ path }) => !path.split('/').every((part) => /^[a-z0-9]+(-[a-z0-9]+)*(\.[a-z]+)?$/.test(part)),
    );
    expect(odd.map(({ path }) => path)).toEqual([]);
  });

  it('takes timers and clocks from src/platform/globals.ts, so that nobody who fakes them stops the library', () => {
    const faked = /^(set|clear)(Timeout|Interval|Immediate)$|^queueMicrotask$/;
    const clocks = /^(Date|performance)\.now$|^process\.nextTick$/;
    const found: string[] = [];
    for (const { path, source, imports } of all) {
      if (path === 'src/platform/globals.ts' || path.startsWith('src/integrations/')) continue; // their clients live on what is global
      const hasOwn = imports.some(({ target }) => target === 'src/platform/globals.ts');
      const visit = (node: Node): void => {
        if (ts.isCallExpression(node)) {
          const called = node.expression.getText(source);
          if (clocks.test(called) || (faked.test(called) && !hasOwn)) found.push(`${path}: ${called}`);
        }
        ts.forEachChild(node, visit);
      };
      visit(source);
      if (imports.some(({ target }) => /^node:timers/.test(target))) found.push(`${path}: node:timers`);
    }
    expect(found).toEqual([]);
  });

  it('asks by isInstance() what a value is, since a proxy may throw when it is asked', () => {
    const safe = /^(TaskwardenError|Failure)$/; // they ask the value for nothing that could throw
    const found: string[] = [];
    for (const { path, source } of all) {
      if (path === 'src/base/foreign-value.ts' || path.startsWith('src/integrations/')) continue; // their clients give real errors
      const visit = (node: Node): void => {
        if (ts.isBinaryExpression(node) && node.operatorToken.kind === ts.SyntaxKind.InstanceOfKeyword) {
          if (!safe.test(node.right.getText(source))) found.push(`${path}: ${node.getText(source)}`);
        } else if (ts.isCallExpression(node) && node.expression.getText(source) === 'Buffer.isBuffer') {
          found.push(`${path}: ${node.getText(source)}`);
        }
        ts.forEachChild(node, visit);
      };
      visit(source);
    }
    expect(found).toEqual([]);
  });

  it('exports by name', () => {
    expect(all.filter(({ text }) => /^export default /m.test(text)).map(({ path }) => path)).toEqual([]);
  });
});
