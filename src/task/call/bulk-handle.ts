/** BulkHandle: what `all()` returns, a native promise of all results, with the state of the whole. */
import type { Progress } from '../record/progress.ts';
import { TaskHandle } from './handle.ts';

/** How far an `all()` is. */
export interface BulkProgress {
  /** How many inputs have ended, those that failed included. */
  readonly done: number;
  /** How many inputs have failed. */
  readonly failed: number;
  /** How many inputs there are. Undefined until all have been read, if they are not in an array. */
  readonly total: number | undefined;
}

/** The one handle of many inputs. */
export interface BulkHandle<T>
  extends Promise<T>,
    Pick<
      TaskHandle<T>,
      | 'id'
      | 'name'
      | 'priority'
      | 'type'
      | 'status'
      | 'info'
      | 'done'
      | 'result'
      | 'exception'
      | 'cancel'
      | 'setPriority'
    > {
  readonly progress: BulkProgress;
  /**
   * Calls the listener as inputs end, at most about 50 times in a second. The last report comes before the handle settles.
   */
  onProgress(listener: (progress: BulkProgress) => void): this;
}

export class BulkTaskHandle<T> extends TaskHandle<T> implements BulkHandle<T> {
  static {
    Reflect.deleteProperty(BulkTaskHandle.prototype, 'constructor'); // that of TaskHandle tells that it is awaited
  }

  get progress(): BulkProgress {
    return bulkProgress(this.info.progress);
  }

  /** The parameter of the listener is a `BulkProgress`. */
  override onProgress(listener: (progress: never) => void): this {
    return super.onProgress((progress) => listener(bulkProgress(progress) as never));
  }
}

function bulkProgress({ done = 0, failed = 0, total }: Partial<Progress> = {}): BulkProgress {
  return { done, failed, total };
}
