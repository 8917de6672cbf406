/** A server of ours that sends: domain ours.test, users ann and fwd (who forwards to alice@example.test), a zone of its own, loopback alone. */
import type { TestContext } from 'node:test';
import type { ZoneData } from '../../core/net/dns-zone.ts';
import { type SendOutcome, SmtpClient } from '../../core/net/smtp-client.ts';
import { hashPassword } from '../../src/users/password.ts';
import { type DnsServer, type DnsServerOptions, serveZone } from './dns-server.ts';
import { password, startServer, type TestServer } from './server.ts';

export interface Outgoing {
  readonly server: TestServer;
  readonly dns: DnsServer;
  /** Submits as ann@ours.test. */
  submit(to: readonly string[], text?: string): Promise<SendOutcome>;
  /** Gives a message from outside to the MX. */
  receive(from: string, to: string, text?: string): Promise<SendOutcome>;
  /** Files of a user's INBOX. */
  inbox(user: string): string[];
}

export interface OutgoingOptions {
  readonly zone: ZoneData;
  readonly port: number;
  readonly secure?: DnsServerOptions['secure'];
  readonly outbound?: object;
  readonly config?: Record<string, unknown>;
  readonly files?: Record<string, string>;
  readonly directory?: string;
}

const plainText = 'From: ann@ours.test\r\nTo: x\r\nSubject: hello\r\n\r\nbody\r\n.dot\r\n';

export async function startOutgoing(t: TestContext, options: OutgoingOptions): Promise<Outgoing> {
  const { zone, port, secure, outbound, config, files } = options;
  const dns = await serveZone(zone, secure && { secure });
  t.after(() => dns.close());
  const user = {
    password: await hashPassword(password),
    aliases: [],
    forward: [],
    quotaBytes: 0,
    disabled: false,
  };
  const users = {
    'ann@ours.test': { ...user, aliases: ['postmaster@ours.test'] },
    'fwd@ours.test': { ...user, forward: ['alice@example.test'] },
  };
  const server = await startServer({
    ...(options.directory === undefined ? {} : { directory: options.directory }),
    files: { 'ours.json': JSON.stringify({ version: 1, users }), ...files },
    config: {
      hostname: 'mx.ours.test',
      domains: ['ours.test'],
      users: { file: 'ours.json' },
      dns: { servers: [dns.address], ...(secure && { dnssec: true }) },
      routes: [
        { to: '@ours.test', deliver: 'mailbox' },
        { to: '*', from: 'authenticated', relay: 'mx' },
      ],
      outbound: { port, connectTimeoutSeconds: 3, ...outbound },
      queue: { retrySeconds: [1] },
      ...config,
    },
  });
  t.after(() => server.stop());
  return {
    server,
    dns,
    submit: (to, text = plainText) => give(server.ports.submission!, 'ann@ours.test', to, text, true),
    receive: (from, to, text = plainText) => give(server.ports.smtp!, from, [to], text, false),
    inbox: (name) => server.messages(`../ours.test/${name}`),
  };
}

async function give(
  port: number,
  sender: string,
  recipients: readonly string[],
  text: string,
  login: boolean,
): Promise<SendOutcome> {
  const client = await SmtpClient.connect({
    to: { host: '127.0.0.1', port },
    name: 'client.test',
    ...(login ? { auth: { user: 'ann@ours.test', password }, plaintextAuth: true } : {}),
  });
  try {
    return await client.send({ sender, recipients }, { chunks: [Buffer.from(text)] });
  } finally {
    await client.quit();
  }
}
