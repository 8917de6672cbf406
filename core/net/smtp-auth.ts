/** AUTH as a client: the strongest mechanism that both sides know. RFC 4954; PLAIN RFC 4616, CRAM-MD5 RFC 2195, OAUTHBEARER RFC 7628. */
import { createHmac } from 'node:crypto';
import { OperationalError } from '../base/errors.ts';
import { isPositive, refusal, type SmtpReply } from './smtp-reply.ts';

export type SmtpCredentials =
  | { readonly user: string; readonly password: string }
  | { readonly user: string; readonly accessToken: string };

/** What an exchange needs of the connection. */
export interface AuthConnection {
  /** Words of the server's AUTH line, upper case; empty where it named none. */
  readonly mechanisms: readonly string[];
  readonly secured: boolean;
  command(line: string): Promise<SmtpReply>;
}

/**
 * Logs in. Without TLS a password is sent only where `plaintext` allows it; CRAM-MD5 never shows it.
 * @throws OperationalError `smtp-tls` (no password without TLS), `smtp-refused`, `smtp-auth` (no common mechanism)
 */
export async function authenticate(
  connection: AuthConnection,
  credentials: SmtpCredentials,
  plaintext: boolean,
): Promise<void> {
  const mechanism = choose(connection, credentials, plaintext);
  const reply = await exchanges[mechanism](connection, credentials);
  if (!isPositive(reply)) throw refusal(reply, 'AUTH');
}

type Mechanism = 'XOAUTH2' | 'OAUTHBEARER' | 'PLAIN' | 'LOGIN' | 'CRAM-MD5';

function choose(
  { mechanisms, secured }: AuthConnection,
  credentials: SmtpCredentials,
  plaintext: boolean,
): Mechanism {
  const wanted: Mechanism[] =
    'accessToken' in credentials
      ? ['OAUTHBEARER', 'XOAUTH2']
      : secured || plaintext
        ? ['PLAIN', 'LOGIN', 'CRAM-MD5']
        : ['CRAM-MD5'];
  const found = wanted.find((mechanism) => mechanisms.includes(mechanism));
  if (found !== undefined && (secured || plaintext || found === 'CRAM-MD5')) return found;
  if (!secured && !plaintext) {
    throw new OperationalError('smtp-tls', 'no password is sent without TLS', { temporary: false });
  }
  // A server that names nothing may still take the commonest.
  if (mechanisms.length === 0) return wanted[0]!;
  throw new OperationalError('smtp-auth', `the server offers AUTH by ${mechanisms.join(', ')} alone`, {
    temporary: false,
  });
}

const exchanges: Readonly<
  Record<Mechanism, (connection: AuthConnection, credentials: SmtpCredentials) => Promise<SmtpReply>>
> = {
  PLAIN: ({ command }, credentials) =>
    command(`AUTH PLAIN ${base64(`\0${credentials.user}\0${secretOf(credentials)}`)}`),
  async LOGIN({ command }, credentials) {
    const asked = await command('AUTH LOGIN');
    if (asked.code !== 334) return asked;
    const again = await command(base64(credentials.user));
    return again.code === 334 ? command(base64(secretOf(credentials))) : again;
  },
  async 'CRAM-MD5'({ command }, credentials) {
    const asked = await command('AUTH CRAM-MD5');
    if (asked.code !== 334) return asked;
    const digest = createHmac('md5', secretOf(credentials)).update(Buffer.from(asked.text, 'base64'));
    return command(base64(`${credentials.user} ${digest.digest('hex')}`));
  },
  OAUTHBEARER: (connection, credentials) =>
    bearer(
      connection,
      'OAUTHBEARER',
      `n,a=${credentials.user},\x01auth=Bearer ${secretOf(credentials)}\x01\x01`,
    ),
  XOAUTH2: (connection, credentials) =>
    bearer(connection, 'XOAUTH2', `user=${credentials.user}\x01auth=Bearer ${secretOf(credentials)}\x01\x01`),
};

/** RFC 7628 section 3.2.3: a refusal comes as a challenge first, which is answered by one octet. */
async function bearer({ command }: AuthConnection, mechanism: string, text: string): Promise<SmtpReply> {
  const reply = await command(`AUTH ${mechanism} ${base64(text)}`);
  return reply.code === 334 ? command(mechanism === 'XOAUTH2' ? '' : base64('\x01')) : reply;
}

function secretOf(credentials: SmtpCredentials): string {
  return 'password' in credentials ? credentials.password : credentials.accessToken;
}

function base64(text: string): string {
  return Buffer.from(text).toString('base64');
}
