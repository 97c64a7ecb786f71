/** What the service does beside uploads: it forgets old results by the clock, and reads its settings when it is asked to. */
import { type BackgroundEventWorker, type BackgroundIntervalWorker, backgroundWorker } from 'taskwarden';
import { log } from './log.ts';
import type { UploadRecords } from './records.ts';
import type { SettingsFile } from './settings.ts';
import { uploadsModule } from './uploads.ts';

export interface Upkeep {
  readonly sweep: BackgroundIntervalWorker<[]>;
  readonly reload: BackgroundEventWorker<[]>;
}

/** Both run on the event loop, since they change what is there. */
export function upkeepOf(records: UploadRecords, settings: SettingsFile): Upkeep {
  const sweep = backgroundWorker(() => records.expire(settings.current.resultTtlMs), {
    name: 'sweep',
    type: 'loop',
    priority: 'low',
    intervalMs: 1_000,
  });
  const reload = backgroundWorker(
    async () => {
      const { maxWorkers } = await settings.reload();
      uploadsModule.maxWorkers = maxWorkers; // what runs above a smaller cap is left to finish
      log('reloaded', settings.current);
    },
    {
      name: 'reload',
      type: 'loop',
      priority: 'high',
      event: true,
      onError: (error) => log('not reloaded', { error: String(error) }),
    },
  );
  return { sweep, reload };
}
