/** An IMAP client for tests: commands in, answers as text with LF line ends; each test gets a mailbox of its own on one server. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import type { Limits } from '../../core/base/limits/settings.ts';
import type { ListenerConfig } from '../../core/config/config.ts';
import { imap } from '../../src/access/imap/protocol.ts';
import type { Users } from '../../src/users/users.ts';
import { openAccessDoor } from './access-door.ts';
import { ImapWire } from './imap-values.ts';

export interface ImapServer {
  readonly port: number;
  readonly mailRoot: string;
  readonly moved: readonly { readonly from: string; readonly to: string }[];
  /** What was logged as a bug. */
  bugs(): readonly unknown[];
  /** Logged in as alice. */
  client(): Promise<ImapClient>;
  /** Not logged in. */
  stranger(): Promise<ImapClient>;
}

export async function openImapServer(
  t: Pick<TestContext, 'after'>,
  init: {
    listener?: Partial<ListenerConfig>;
    limits?: Partial<Limits>;
    mailFormat?: 'maildir' | 'mbox';
    users?: Users;
  } = {},
): Promise<ImapServer> {
  const mailRoot = mkdtempSync(join(tmpdir(), 'mailfilter-imap-'));
  const { listener, ...rest } = init;
  const opened = await openAccessDoor(t, {
    protocol: imap,
    listener: { protocol: 'imap', ...listener },
    mailRoot,
    ...rest,
  });
  t.after(() => rmSync(mailRoot, { recursive: true, force: true }));
  const stranger = async () => {
    const client = new ImapClient(await ImapWire.open(opened.port));
    t.after(() => client.close());
    return client;
  };
  return {
    port: opened.port,
    mailRoot,
    moved: opened.moved,
    stranger,
    bugs: () => opened.logged.filter(({ event }) => event === 'access-bug').map(({ facts }) => facts),
    async client() {
      const client = await stranger();
      await client.ok('LOGIN alice@example.test secret');
      return client;
    },
  };
}

export class ImapClient {
  readonly wire: ImapWire;
  #next = 1;

  constructor(wire: ImapWire) {
    this.wire = wire;
  }

  /** All responses, the tagged one last and without its tag. */
  async say(command: string): Promise<string> {
    const tag = this.tag();
    this.wire.send(`${tag} ${command}\r\n`);
    return this.answer(tag);
  }

  async answer(tag: string): Promise<string> {
    const responses = await this.wire.until(tag);
    const last = responses.length - 1;
    responses[last] = responses[last]!.replace(`${tag} `, '');
    return responses.join('\n').replaceAll('\r\n', '\n');
  }

  tag(): string {
    return `c${this.#next++}`;
  }

  /** As `say`; the answer must be OK. */
  async ok(command: string): Promise<string> {
    const heard = await this.say(command);
    assert.match(heard.split('\n').at(-1)!, /^OK /, `${command}\n${heard}`);
    return heard;
  }

  /** The answer must begin so: `NO [TRYCREATE]`. */
  async refused(command: string, status: string): Promise<string> {
    const heard = await this.say(command);
    assert.ok(heard.split('\n').at(-1)!.startsWith(status), `${command}\n${heard}\nwants ${status}`);
    return heard;
  }

  /** LF line ends in, CRLF on the wire. */
  append(mailbox: string, message: string, before = ''): Promise<string> {
    const octets = Buffer.from(message.replaceAll('\n', '\r\n'), 'utf8').toString('latin1');
    return this.ok(`APPEND ${mailbox} ${before}{${octets.length}+}\r\n${octets}`);
  }

  /** A mailbox with these messages, selected. */
  async select(mailbox: string, messages: readonly string[] = []): Promise<void> {
    await this.ok(`CREATE ${mailbox}`);
    for (const message of messages) await this.append(mailbox, message);
    await this.ok(`SELECT ${mailbox}`);
  }

  close(): void {
    this.wire.close();
  }
}

/** `Subject: n` and a line of text, for each number. */
export function plainMessages(count: number): string[] {
  return Array.from(
    { length: count },
    (_, at) => `Subject: m${at + 1}\nFrom: f${at + 1}@example.test\n\nbody ${at + 1}\n`,
  );
}
