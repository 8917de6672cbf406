/** One fsync for all who ask for it while another runs: a caller is answered by a sync that began after the call. */
import { fdatasync, fsync } from 'node:fs';

export class GroupSync {
  readonly #fd: number;
  readonly #call: typeof fsync;
  #next: PromiseWithResolvers<void> | undefined;
  #running = false;

  /** @param kind `data` for the content of a file, `all` for a folder */
  constructor(fd: number, kind: 'data' | 'all') {
    this.#fd = fd;
    this.#call = kind === 'data' ? fdatasync : fsync;
  }

  /** Resolves once everything written before the call is on disk; rejects with the error of the sync. */
  sync(): Promise<void> {
    this.#next ??= Promise.withResolvers<void>();
    const { promise } = this.#next;
    if (!this.#running) this.#run();
    return promise;
  }

  #run(): void {
    const waiting = this.#next;
    if (waiting === undefined) return;
    this.#next = undefined;
    this.#running = true;
    this.#call(this.#fd, (error) => {
      this.#running = false;
      if (error) waiting.reject(error);
      else waiting.resolve();
      this.#run();
    });
  }
}
