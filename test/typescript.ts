/**
 * The compiler, for tests that read sources. It is not imported: Node would look through all of its nine megabytes for the
 * names that they export, which takes longer than to load them.
 */
import { createRequire } from 'node:module';
import type typescript from 'typescript';

export const ts: typeof typescript = createRequire(import.meta.url)('typescript');
