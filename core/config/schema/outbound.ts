/** `outbound` of the config, mail that goes to other hosts, and `fetch.accounts`, mail that is brought from them. */
import { tlsLevels } from '../relay-target.ts';
import { choice, flag, type JsonSchema, list, section, text, whole } from './words.ts';

const tlsLevel = (description: string, fallback?: string): JsonSchema =>
  choice(description, tlsLevels, fallback);

const destinationProperties: Record<string, JsonSchema> = {
  connections: { type: 'integer', minimum: 1, maximum: 1000, description: 'Mails under way at once.' },
  messagesPerMinute: { type: 'integer', minimum: 0, maximum: 1_000_000, description: '0: no limit.' },
  tls: tlsLevel('As `outbound.tls`.'),
};

export const outboundProperties: Record<string, JsonSchema> = {
  port: whole('Port of MX hosts; 25 but for tests.', 25, 1, 65_535),
  tls: tlsLevel(
    'For MX hosts. none, opportunistic (where offered, any certificate), required (any certificate) or verify. DANE and MTA-STS of a domain ask for more by themselves.',
    'opportunistic',
  ),
  dane: flag('Follow TLSA records (RFC 7672); only with `dns.dnssec`.', true),
  mtaSts: flag('Follow MTA-STS policies (RFC 8461).', true),
  mtaStsPort: whole('Port of the hosts that publish policies; 443 but for tests.', 443, 1, 65_535),
  caFile: text('PEM of roots that are trusted besides those that came with Node.'),
  heloName: text('Name in EHLO. Default: hostname.'),
  addresses: list('Own addresses to connect from: one IPv4, one IPv6.', text('An IP address.'), {
    maxItems: 2,
    default: [],
  }),
  connections: whole('Mails under way at once.', 100, 1, 2000),
  connectionsPerDestination: whole('Of them for one destination; reached step by step.', 20, 1, 1000),
  messagesPerConnection: whole('Then another connection is opened.', 100, 1, 100_000),
  recipientsPerMessage: whole(
    'Recipients of one transaction. RFC 5321 section 4.5.3.1.8: every server takes 100.',
    100,
    1,
    1000,
  ),
  messagesPerMinute: whole('For one destination; 0: no limit.', 0, 0, 1_000_000),
  destinations: {
    type: 'object',
    description: 'What differs for a domain, or for a relay as its route names it.',
    additionalProperties: {
      type: 'object',
      properties: destinationProperties,
      additionalProperties: false,
    },
    default: {},
  },
  connectTimeoutSeconds: whole('For one address.', 30, 1, 300),
  tlsReportsFrom: text(
    'Address that daily TLS reports (RFC 8460) name as their contact; without it none are sent.',
  ),
};

export const fetchAccount = section(
  'One account of another server.',
  {
    protocol: choice('What is spoken.', ['imap', 'pop3'], 'imap'),
    host: text('Name of the server, which its certificate must hold.'),
    port: { type: 'integer', minimum: 1, maximum: 65_535, description: 'Default: by protocol and tls.' },
    tls: choice('none sends the password in the clear.', ['implicit', 'starttls', 'none'], 'implicit'),
    user: text('Name to log in with.'),
    password: {
      type: ['string', 'object'],
      description: '{ "env": "NAME" } or { "file": "path" } keeps it out of the config.',
    },
    caFile: text('PEM of roots that are trusted besides those that came with Node.'),
    to: text('Address that gets the mail here.'),
    folders: list('IMAP: folders to look into.', text('A folder.'), { minItems: 1, default: ['INBOX'] }),
    keep: flag('Leave the mail there; what was fetched is remembered.', false),
    everySeconds: whole('With --daemon: time between two looks.', 300, 10, 86_400),
  },
  ['host', 'user', 'password', 'to'],
);
