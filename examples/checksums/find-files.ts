/** All files under a directory. Symbolic links are not followed, so that each file is found once. */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';

/** @param onUnreadable Hears of each directory that can't be listed; the others are. */
export async function findFiles(
  root: string,
  onUnreadable: (directory: string, error: unknown) => void,
): Promise<string[]> {
  const files: string[] = [];
  const directories = [root];
  for (let directory = directories.pop(); directory !== undefined; directory = directories.pop()) {
    try {
      for (const entry of await readdir(directory, { withFileTypes: true })) {
        if (entry.isDirectory()) directories.push(join(directory, entry.name));
        else if (entry.isFile()) files.push(join(directory, entry.name));
      }
    } catch (error) {
      onUnreadable(directory, error);
    }
  }
  return files;
}
