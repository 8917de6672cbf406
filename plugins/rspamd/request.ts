/** A message's way to rspamd: its envelope as header fields of an HTTP request. rspamd's documentation, "Protocol". */
import { request as requestPlain } from 'node:http';
import { request as requestTls } from 'node:https';
import type { MessageInput } from 'mailfilter/plugin';

/** An http or https URL, or `unix:/path`. */
export type RspamdServer = { readonly url: URL } | { readonly path: string };

export interface RequestOptions {
  readonly password: string;
  /** `Settings-ID`: which of rspamd's settings are used. */
  readonly settings: string;
  /** This host, as rspamd is to call it. */
  readonly hostname: string;
}

/** @throws TypeError for anything else */
export function parseServer(text: string): RspamdServer {
  const path = /^unix:(\/.+)$/.exec(text)?.[1];
  if (path !== undefined) return { path };
  const url = URL.parse(/^https?:/.test(text) ? text : `http://${text}`);
  if (url === null || url.hostname === '')
    throw new TypeError(`${JSON.stringify(text)} is no URL and no unix:/path`);
  if (url.port === '' && url.protocol === 'http:') url.port = '11333';
  return { url };
}

export function formatServer(server: RspamdServer): string {
  return 'url' in server ? server.url.origin : `unix:${server.path}`;
}

/** @throws Error when there is no answer, or none of status 200 */
export async function askRspamd(
  server: RspamdServer,
  input: MessageInput,
  options: RequestOptions,
  { signal, answerBytesMax }: { readonly signal: AbortSignal; readonly answerBytesMax: number },
): Promise<string> {
  const headers = fieldsOf(input, options);
  const target = 'url' in server ? targetOf(server.url) : { socketPath: server.path, path: '/checkv2' };
  const open = 'url' in server && server.url.protocol === 'https:' ? requestTls : requestPlain;
  const request = open({ ...target, method: 'POST', headers, signal, agent: false });
  const answered = new Promise<string>((resolve, reject) => {
    request.once('error', reject);
    request.once('response', (response) => {
      const chunks: Buffer[] = [];
      let octets = 0;
      response.on('data', (chunk: Buffer) => {
        octets += chunk.length;
        if (octets > answerBytesMax)
          response.destroy(new Error(`an answer of more than ${answerBytesMax} octets`));
        else chunks.push(chunk);
      });
      response.once('error', reject);
      // Ended without being whole: what came is not all.
      response.once('close', () => reject(new Error('the answer is cut short')));
      response.once('end', () => {
        const text = Buffer.concat(chunks).toString('utf8');
        if (!response.complete) reject(new Error('the answer is cut short'));
        else if (response.statusCode === 200) resolve(text);
        else reject(new Error(`HTTP status ${response.statusCode}: ${text.slice(0, 200)}`));
      });
    });
  });
  // It is waited for below; till then its failure shows in what is written.
  answered.catch(() => {});
  try {
    for await (const chunk of input.message.raw() as AsyncIterable<Buffer>) {
      if (request.destroyed) break;
      if (!request.write(chunk)) await roomIn(request);
    }
    request.end();
    return await answered;
  } finally {
    request.destroy();
  }
}

function roomIn(request: ReturnType<typeof requestPlain>): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      request.off('drain', done);
      request.off('close', done);
      resolve();
    };
    request.once('drain', done);
    request.once('close', done);
  });
}

function targetOf(url: URL): { host: string; port: string | undefined; path: string } {
  const base = url.pathname.replace(/\/$/, '');
  return {
    host: url.hostname.replace(/^\[|\]$/g, ''),
    port: url.port || undefined,
    path: `${base}/checkv2`,
  };
}

/** Every field of the protocol that we know something for. */
export function fieldsOf(
  { id, connection, session, envelope }: MessageInput,
  { password, settings, hostname }: RequestOptions,
): Record<string, string | string[]> {
  const [only, ...others] = envelope.recipients;
  const { tls, user } = session;
  const fields: Record<string, string | string[] | undefined> = {
    'Queue-Id': id,
    From: envelope.sender,
    Rcpt: envelope.recipients.map(({ address }) => address),
    // Whose statistics and settings: known where there is but one.
    'Deliver-To': others.length === 0 ? only?.address : undefined,
    IP: connection.remoteIp || undefined,
    Hostname: connection.remoteName || undefined,
    Helo: session.helo || undefined,
    User: user,
    'TLS-Version': tls?.protocol,
    'TLS-Cipher': tls?.cipher,
    'MTA-Name': hostname,
    'MTA-Tag': 'mailfilter',
    Flags: 'milter',
    'Settings-ID': settings || undefined,
    Password: password || undefined,
    'Content-Type': 'text/plain',
  };
  const known: Record<string, string | string[]> = {};
  for (const [name, value] of Object.entries(fields)) {
    if (value !== undefined)
      known[name] = Array.isArray(value) ? value.map(asFieldValue) : asFieldValue(value);
  }
  return known;
}

/** UTF-8 octets as they go over the wire, and nothing that would end the field. */
function asFieldValue(text: string): string {
  return Buffer.from(text.replace(/[\x00-\x1f\x7f]/g, ' '), 'utf8').toString('latin1');
}
