/** A ManageSieve client for tests: logs in and says commands; each answers its lines, the status line last. */
import { LineClient } from './line-client.ts';
import { password } from './server.ts';

export class SieveClient {
  readonly #line: LineClient;

  private constructor(port: number) {
    this.#line = LineClient.toPort(port);
  }

  /** As a user of the test server. @throws when the server does not let in */
  static async login(port: number, user: string): Promise<SieveClient> {
    const client = new SieveClient(port);
    await client.#answer();
    const response = Buffer.from(`\0${user}\0${password}`).toString('base64');
    const answer = await client.say(`AUTHENTICATE "PLAIN" "${response}"`);
    if (!answer.at(-1)?.startsWith('OK')) throw new Error(`not let in: ${answer.join(' / ')}`);
    return client;
  }

  /** Uploads and activates. @throws what the server says against it */
  async activate(name: string, script: string): Promise<void> {
    const length = Buffer.byteLength(script);
    for (const command of [`PUTSCRIPT "${name}" {${length}+}\r\n${script}`, `SETACTIVE "${name}"`]) {
      const answer = await this.say(command);
      if (!answer.at(-1)?.startsWith('OK')) throw new Error(answer.join(' / '));
    }
  }

  /** @param command without its line end */
  async say(command: string): Promise<string[]> {
    this.#line.send(Buffer.from(`${command}\r\n`));
    return this.#answer();
  }

  close(): void {
    this.#line.destroy();
  }

  async #answer(): Promise<string[]> {
    const lines: string[] = [];
    for (;;) {
      const line = await this.#line.line(20_000);
      if (line === undefined) throw new Error(`closed after ${JSON.stringify(lines)}`);
      lines.push(line);
      if (/^(OK|NO|BYE)\b/.test(line)) return lines;
    }
  }
}
