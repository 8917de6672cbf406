/** Connections to the server behind a filter door: used again while both sides like to, closed after a short idleness. */
import { SmtpClient, type SmtpClientOptions } from '../../../core/net/smtp-client.ts';

export class NextConnections {
  readonly #options: SmtpClientOptions;
  readonly #idleMs: number;
  /** The one that rested last is taken first, so that those not needed grow old. */
  readonly #idle: { readonly client: SmtpClient; readonly timer: NodeJS.Timeout }[] = [];
  #closed = false;

  constructor(options: SmtpClientOptions, idleMs: number) {
    this.#options = options;
    this.#idleMs = idleMs;
  }

  /** One that rests, else undefined; the server may have closed it meanwhile. */
  rested(): SmtpClient | undefined {
    for (let entry = this.#idle.pop(); entry !== undefined; entry = this.#idle.pop()) {
      clearTimeout(entry.timer);
      if (entry.client.usable) return entry.client;
      entry.client.destroy();
    }
    return undefined;
  }

  /** Rejects as SmtpClient.connect. */
  fresh(): Promise<SmtpClient> {
    return SmtpClient.connect(this.#options);
  }

  /** Takes back a connection that is in no transaction. */
  give(client: SmtpClient): void {
    if (this.#closed || !client.usable) {
      client.destroy();
      return;
    }
    const timer = setTimeout(() => {
      const at = this.#idle.findIndex((entry) => entry.client === client);
      if (at !== -1) this.#idle.splice(at, 1);
      void client.quit();
    }, this.#idleMs).unref();
    this.#idle.push({ client, timer });
  }

  close(): void {
    this.#closed = true;
    for (const { client, timer } of this.#idle.splice(0)) {
      clearTimeout(timer);
      client.destroy();
    }
  }
}
