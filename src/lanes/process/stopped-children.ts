/**
 * A child notices by itself that this process has ended, and ends; but not if it is stopped, or not up yet. Such children
 * get a signal when this process exits. If this process is killed, a stopped child ends when it is continued.
 */

interface Child {
  kill(signal: NodeJS.Signals): boolean;
  once(event: 'exit', listener: () => void): unknown;
}

/** The children that have not exited, and whether each can notice the end of this process. */
const living = new Map<Child, () => boolean>();

/** Ends a child with this process. `canSee`: whether it is up, and was not asked to end. */
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
    else if (process.platform !== 'win32') child.kill('SIGCONT'); // so that it can clean up
  }
}
