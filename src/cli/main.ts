#!/usr/bin/env node
/** The program `taskwarden`: its command line, on the streams of the process, and its exit code. */
import { setTimeout } from '../platform/globals.ts';
import { runCommandLine } from './command-line.ts';

/** How long handles that a module left open, such as a closing server, may keep the process alive, in milliseconds. */
const leaveMs = 1_000;

process.stderr.on('error', () => {}); // output that nobody reads is lost, and causes no error
const exitCode = await runCommandLine(process.argv.slice(2), process);
process.exitCode = exitCode;
setTimeout(() => process.exit(exitCode), leaveMs).unref();
