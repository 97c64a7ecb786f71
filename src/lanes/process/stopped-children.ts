/**
 * Children see by themselves that this process has ended, and end; but not one that is stopped, or that Node has not
 * brought up. These are told as this process exits. One that is killed can tell nobody: a child that was stopped before
 * ends then when it is continued.
 */

interface Child {
  kill(signal: NodeJS.Signals): boolean;
  once(event: 'exit', listener: () => void): unknown;
}

/** Those that have not exited, and whether each can see it. */
const living = new Map<Child, () => boolean>();

/** Lets it end with this process. `canSee`: whether it is up, and was not told to end. */
export function endWithParent(child: Child, canSee: () => boolean): void {
  if (living.size === 0) process.on('exit', endAll);
  living.set(child, canSee);
  child.once('exit', () => {
    living.delete(child);
    if (living.size === 0) process.off('exit', endAll);
  });
}

function endAll(): void {
  for (const [child, canSee] of living) {
    if (!canSee()) child.kill('SIGKILL');
    else if (process.platform !== 'win32') child.kill('SIGCONT'); // it cleans up, as it has time to
  }
}
