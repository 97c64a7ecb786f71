/**
 * Builds `dist`, unless it is there and is that of the sources as they are: to install builds, and so do the tests, the
 * benchmark and the examples. Types and programs are made side by side.
 */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

const inputs = [
  'src',
  'workers',
  'build.js',
  'rollup.config.js',
  'tsconfig.build.json',
  'tsconfig.json',
  'package-lock.json',
];
const outputs = ['dist/src', 'dist/workers'];
/** What was built, and from what. */
const stamp = 'dist/.built';
/** The compiler makes the types, and does not check them: that is `npm run typecheck`, and takes longer than all of this. */
const steps = [
  ['typescript', 'bin/tsc', '-p', 'tsconfig.build.json', '--noCheck'],
  ['rollup', 'dist/bin/rollup', '-c', '--silent'],
];

if (!existsSync(stamp) || readFileSync(stamp, 'utf8') !== state()) {
  rmSync(stamp, { force: true });
  const codes = await Promise.all(steps.map(run));
  process.exitCode = codes.find((code) => code !== 0) ?? 0;
  if (process.exitCode === 0) writeFileSync(stamp, state());
}

/** A digest of the names and contents of all inputs and outputs. */
function state() {
  const hash = createHash('sha256');
  for (const file of [...inputs, ...outputs].flatMap(filesIn)) {
    const content = readFileSync(file);
    hash.update(`${file}\0${content.length}\0`).update(content);
  }
  return hash.digest('hex');
}

function filesIn(path) {
  if (!existsSync(path)) return [];
  if (!statSync(path).isDirectory()) return [path];
  return readdirSync(path)
    .sort()
    .flatMap((name) => filesIn(join(path, name)));
}

/** Resolves with the exit code of a program of a package; 1 if a signal ended it. */
function run([name, program, ...args]) {
  const folder = dirname(createRequire(import.meta.url).resolve(`${name}/package.json`));
  const child = spawn(process.execPath, [join(folder, program), ...args], { stdio: 'inherit' });
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code) => resolve(code ?? 1));
  });
}
