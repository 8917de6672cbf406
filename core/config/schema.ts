/** JSON Schema (draft-07) of mailfilter.json. Editors complete from it, ajv checks with it; `expects` words an error where a pattern would not. */
import { defaultLimits, type Limits } from '../base/limits/settings.ts';
import { tlsLevels } from './relay-target.ts';

export type JsonSchema = { readonly [keyword: string]: unknown };

const text = (description: string, more: JsonSchema = {}): JsonSchema => ({
  type: 'string',
  minLength: 1,
  description,
  ...more,
});
const choice = (description: string, values: readonly string[], fallback?: string): JsonSchema => ({
  type: 'string',
  enum: values,
  description,
  ...(fallback === undefined ? {} : { default: fallback }),
});
const flag = (description: string, fallback: boolean): JsonSchema => ({
  type: 'boolean',
  description,
  default: fallback,
});
const whole = (description: string, fallback: number, minimum: number, maximum: number): JsonSchema => ({
  type: 'integer',
  description,
  default: fallback,
  minimum,
  maximum,
});
const list = (description: string, items: JsonSchema, more: JsonSchema = {}): JsonSchema => ({
  type: 'array',
  description,
  items,
  ...more,
});
/** A section without required keys may be left out whole: ajv then makes it of its defaults. */
const section = (
  description: string,
  properties: JsonSchema,
  required: readonly string[] = [],
): JsonSchema => ({
  type: 'object',
  description,
  properties,
  additionalProperties: false,
  ...(required.length > 0 ? { required } : { default: {} }),
});

/** Names of listeners and pipelines: they stand in logs, messages and file names. */
const names: JsonSchema = {
  type: 'string',
  pattern: '^[A-Za-z][A-Za-z0-9_.-]{0,63}$',
  expects: 'a name of letters, digits, - _ and . that begins with a letter',
};
const socketAddress = (description: string): JsonSchema =>
  text(description, { examples: ['127.0.0.1:2525', '[::1]:2525', 'unix:/run/mailfilter/lmtp.sock'] });

const listenerProtocols = [
  'smtp',
  'submission',
  'lmtp',
  'milter',
  'content-filter',
  'proxy-filter',
  'imap',
  'pop3',
  'managesieve',
  'http',
] as const;
const failurePolicies = ['tempfail', 'continue', 'quarantine', 'reject'] as const;
const logLevels = ['trace', 'debug', 'info', 'warn', 'error'] as const;

const listener = section(
  'One socket and what is spoken on it.',
  {
    protocol: choice('What is spoken.', listenerProtocols),
    address: socketAddress('Where to listen: host:port, [IPv6]:port or unix:/path.'),
    tls: choice(
      'starttls offers the command, implicit begins with TLS. Default: implicit on 465, 993 and 995, starttls where `tls` names a certificate (not for lmtp and http), else none.',
      ['none', 'starttls', 'implicit'],
    ),
    pipeline: text('Which of `pipelines` the mail goes through; none: no plugin runs.'),
    next: socketAddress(
      'content-filter and proxy-filter: where the mail goes on, as `address`; with lmtp: before it both sides speak LMTP.',
    ),
    auth: { type: 'boolean', description: 'Offer AUTH. Default: submission and access protocols.' },
    authWithoutTls: flag('Offer AUTH without TLS; only for loopback addresses and unix sockets.', false),
    earlyTalkerDelayMs: whole(
      'Wait before the greeting and refuse clients that talk first; 0: off.',
      0,
      0,
      60_000,
    ),
    futureReleaseSecondsMax: {
      type: 'integer',
      minimum: 0,
      maximum: 999_999_999,
      description:
        'submission: how far ahead the date of delivery may be that a client asks for (RFC 4865); 0: not offered. Default: 30 days.',
    },
    deliverBy: {
      type: 'boolean',
      description: 'smtp, submission, lmtp: offer DELIVERBY, mail with a deadline (RFC 2852). Default: true.',
    },
    priorities: {
      type: 'boolean',
      description:
        'smtp, submission, lmtp: offer MT-PRIORITY (RFC 6710); who is not known gets no more than 0. Default: true.',
    },
    socketMode: text('unix: file mode of the socket, octal.', {
      pattern: '^0?[0-7]{3}$',
      expects: 'an octal mode such as "0660"',
    }),
    socketOwner: text('unix: user[:group] that owns the socket.'),
  },
  ['protocol', 'address'],
);

const tlsLevel = (description: string, fallback?: string): JsonSchema =>
  choice(description, tlsLevels, fallback);

const destinationProperties: Record<string, JsonSchema> = {
  connections: { type: 'integer', minimum: 1, maximum: 1000, description: 'Mails under way at once.' },
  messagesPerMinute: { type: 'integer', minimum: 0, maximum: 1_000_000, description: '0: no limit.' },
  tls: tlsLevel('As `outbound.tls`.'),
};

const outboundProperties: Record<string, JsonSchema> = {
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

const fetchAccount = section(
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

/** `plugin` alone, as text, or with its options. */
const pipelineEntry: JsonSchema = {
  type: ['string', 'object'],
  minLength: 1,
  description: 'A bundled plugin by name, a file by a path that begins with . or /, or either with options.',
  properties: {
    plugin: text('Bundled name, or a path that begins with . or /.'),
    options: {
      type: 'object',
      description:
        'As the plugin declares them. { "env": "NAME" } or { "file": "path" } stands for a secret string.',
    },
    onFailure: choice(
      'What a throw, a timeout or a dead thread means for the message.',
      failurePolicies,
      'tempfail',
    ),
    timeoutSeconds: { ...whole('Time for one hook call.', 30, 1, 3600), type: 'number', minimum: 0.01 },
    shadow: flag('Run and trace the plugin, but change nothing.', false),
  },
  required: ['plugin'],
  additionalProperties: false,
};

const route = section(
  'The first line that matches a recipient decides. Exactly one of deliver, relay, lmtp, pipe and reject.',
  {
    to: text('Recipient: *, @domain, @.domain (and its subdomains) or local@domain.'),
    from: { ...text('Sender: any, authenticated (or trustedNetworks), or as `to`.'), default: 'any' },
    deliver: text('mailbox: into the mailbox of a local user. lmtp:ADDRESS: the same as `lmtp`.', {
      examples: ['mailbox', 'lmtp:unix:/run/dovecot/lmtp'],
    }),
    relay: text(
      "To another host: mx (that of the recipient's domain), host:port, smtp://user@host:port or smtps://user@host, with ?tls=none, opportunistic, required or verify (the default with a user).",
      { examples: ['mx', 'smtp://ann%40example.org@smtp.example.net:587'] },
    ),
    password: {
      type: ['string', 'object'],
      description:
        'Of the user in `relay`; { "env": "NAME" } or { "file": "path" } keeps it out of the config.',
    },
    lmtp: socketAddress('To an LMTP server.'),
    pipe: list(
      "To a program, without a shell: its absolute path and its arguments, in which {sender}, {recipient}, {user} and {domain} stand for the mail's. It gets the message on standard input, once per recipient; exit 0 is delivered, 75 is later.",
      text('An argument.'),
      { minItems: 1, maxItems: 100 },
    ),
    reject: text('Refuse with this reply: code, enhanced status, text.', {
      pattern: '^([45])[0-9]{2} \\1\\.[0-9]{1,3}\\.[0-9]{1,3} [\\x20-\\x7E]+$',
      expects: 'a reply such as "550 5.7.1 relaying denied", both numbers of one class',
    }),
  },
  ['to'],
);

const network = text('Address or CIDR range, such as 192.0.2.0/24 or 2001:db8::/32.');

/** Smallest value of each limit that still makes a working server. */
const limitMinimums: Readonly<Record<keyof Limits, number>> = {
  messageBytesMax: 1024,
  memoryMessageBytesMax: 0,
  memoryTotalBytesMax: 0,
  recipientsMax: 1,
  connectionsMax: 1,
  connectionsPerAddressMax: 1,
  idleTimeoutMs: 100,
  dataTimeoutMs: 100,
  errorsPerSessionMax: 1,
  commandLineBytesMax: 512,
  authFailuresMax: 1,
  messagesPerSessionMax: 1,
  headerFieldsMax: 1,
  headerBytesMax: 1000,
  receivedFieldsMax: 1,
  mimeDepthMax: 1,
  mimePartsMax: 1,
  parsedMessageBytesMax: 1024,
};
const limitProperties = Object.fromEntries(
  Object.entries(limitMinimums).map(([name, minimum]) => [
    name,
    whole(
      `Default ${defaultLimits[name as keyof Limits]}.`,
      defaultLimits[name as keyof Limits],
      minimum,
      2 ** 40,
    ),
  ]),
);

/** Default delays between attempts: quick at first, then every four hours. */
const defaultRetrySeconds = [60, 300, 900, 3600, 7200, 14_400] as const;

/** Without what plugins declare: core/config/editor-schema.ts adds that for editors, the threads check it at load. */
export const configSchema: JsonSchema = {
  $schema: 'http://json-schema.org/draft-07/schema#',
  title: 'mailfilter configuration',
  type: 'object',
  additionalProperties: false,
  required: ['hostname', 'dataDirectory'],
  properties: {
    $schema: { type: 'string', description: 'For editors; not read.' },
    hostname: text('Name of this host in greetings, Received and Message-ID: the one its PTR record gives.'),
    dataDirectory: text('Holds journal, spool, queue, state and run files. One server at a time.'),
    user: text('System user to become when started as root.'),
    domains: list('Domains that have mailboxes here.', text('A domain; IDN in either form.'), {
      uniqueItems: true,
      default: [],
    }),
    listeners: {
      type: 'object',
      description: 'Sockets by a name of your choice.',
      propertyNames: names,
      additionalProperties: listener,
      default: {},
    },
    pipelines: {
      type: 'object',
      description: 'Lists of plugins by a name of your choice; they run in this order.',
      propertyNames: names,
      additionalProperties: list('Plugins in order.', pipelineEntry, { maxItems: 200 }),
      default: {},
    },
    sendPipeline: {
      ...text('The pipeline for mail that this host sends itself: bounces, replies, redirects.'),
      default: 'outbound',
    },
    users: section('Who has a mailbox.', { file: text('users.json; written by `mailfilter user`.') }, [
      'file',
    ]),
    mailbox: section('Where local mail is stored.', {
      format: choice('Maildir, or mboxrd files.', ['maildir', 'mbox'], 'maildir'),
      path: text(
        'With {domain}, {user} or {address}; for `mailfilter deliver` {home}. Maildir: its root; mbox: the INBOX file. Default: mail/{domain}/{user} in dataDirectory.',
      ),
      subaddressSeparator: {
        type: 'string',
        maxLength: 1,
        default: '+',
        description: 'Parts user and detail in the local part; empty turns subaddresses off. RFC 5233.',
      },
      quotaBytes: whole('Size of a mailbox unless the user has an own one; 0: no limit.', 0, 0, 2 ** 50),
      pipeline: text(
        'The pipeline whose deliver and moved hooks (sieve) serve the mailboxes, whichever way mail comes. Default: the one it came through where that has such hooks, else inbound.',
      ),
      sieve: section("Where users' Sieve scripts lie, in the layout of Dovecot's Pigeonhole.", {
        directory: text(
          'Folder of scripts, with {domain}, {user} or {address}. Default: sieve/{domain}/{user} in dataDirectory.',
        ),
        active: text(
          'Link to the active script, or a script itself, with the same placeholders. Default: .dovecot.sieve in the folder.',
        ),
        scriptsMax: whole('Scripts of one user.', 100, 1, 10_000),
        imap: flag(
          'Scripts that a mailbox names in its annotation /shared/imapsieve/script run when users add, copy, move or flag messages by IMAP. RFC 6785.',
          false,
        ),
        storageBytesMax: whole('Octets of all scripts of one user.', 4 * 1024 * 1024, 1024, 2 ** 40),
      }),
      procmail: section("Where users' rcfiles of procmail lie, for the plugin procmail.", {
        rcfile: text(
          'An rcfile, with {domain}, {user} or {address}; what it includes lies beside it. Default: procmail/{domain}/{user}/.procmailrc in dataDirectory.',
        ),
      }),
    }),
    routes: list(
      'What happens to a recipient. Default: `domains` to mailboxes, everything else refused.',
      route,
    ),
    queue: section('Mail that waits.', {
      retrySeconds: list(
        'Delay before each further attempt; the last repeats.',
        { type: 'integer', minimum: 1, maximum: 604_800 },
        { minItems: 1, maxItems: 100, default: [...defaultRetrySeconds] },
      ),
      expireSeconds: whole(
        'Age at which mail is given up. RFC 5321 section 4.5.4.1.',
        432_000,
        60,
        31_536_000,
      ),
      delayNoticeSeconds: whole(
        'Age at which the sender hears that mail still waits; 0: only who asked for it (NOTIFY=DELAY) hears.',
        14_400,
        0,
        31_536_000,
      ),
      quarantineSeconds: whole(
        'Age at which quarantined mail that nobody released is deleted; 0: never.',
        30 * 86_400,
        0,
        31_536_000,
      ),
    }),
    outbound: section('Mail that goes to other hosts.', outboundProperties),
    fetch: section('Mailboxes of other servers that `mailfilter fetch` brings mail from.', {
      accounts: {
        type: 'object',
        description: 'Accounts by a name of your choice.',
        propertyNames: names,
        additionalProperties: fetchAccount,
        default: {},
      },
    }),
    durability: choice(
      'journal: 250 after one sequential write shared by all that wait. file: fsync of each file and folder, for network file systems.',
      ['journal', 'file'],
      'journal',
    ),
    journal: section('The journal of accepted mail.', {
      segmentBytes: whole('Size of one segment.', 64 * 1024 * 1024, 4 * 1024 * 1024, 4 * 1024 ** 3),
      checkpointMs: whole('Longest time from delivery to the sync that frees a segment.', 2000, 10, 5000),
    }),
    bareNewlines: choice(
      'A bare CR or LF in DATA: normalise makes a line end (LF) or a space (CR) of it, refuse answers 5yz. Neither ends the data.',
      ['normalise', 'refuse'],
      'normalise',
    ),
    dns: section('Name servers.', {
      servers: list('address, address:port or [IPv6]:port; none: those of the system.', text('A server.'), {
        default: [],
      }),
      timeoutMs: whole('For one question, all tries together.', 5000, 10, 60_000),
      dnssec: flag(
        'The servers validate DNSSEC and nobody sits between them and us: believe what they call authentic. DANE needs it.',
        false,
      ),
    }),
    tls: section(
      'Certificate of every listener that offers TLS; read again on reload.',
      {
        certFile: text('PEM, with the chain.'),
        keyFile: text('PEM.'),
        minVersion: choice('Oldest version spoken.', ['TLSv1.2', 'TLSv1.3'], 'TLSv1.2'),
      },
      ['certFile', 'keyFile'],
    ),
    trustedNetworks: list('Ranges that may relay. Loopback only if listed.', network, { default: [] }),
    proxyFrom: list('Ranges whose PROXY header is required and believed.', network, { default: [] }),
    xclientFrom: list('Ranges that may use XCLIENT and XFORWARD.', network, { default: [] }),
    limits: section('Bounds on what clients may use.', limitProperties),
    processes: section('Threads and processes.', {
      threads: {
        type: 'integer',
        minimum: 1,
        maximum: 64,
        description: 'Worker threads for plugins. Default: processors less one, at least 1, at most 8.',
      },
      threadMemoryMiB: whole('Heap of each thread.', 256, 16, 65_536),
      access: whole('Processes for IMAP, POP3, ManageSieve and web; 0 runs none.', 1, 0, 64),
    }),
    state: section('What plugins remember.', {
      engine: choice('memory is lost at a restart.', ['sqlite', 'memory'], 'sqlite'),
    }),
    trace: section('The story of each message, for `mailfilter explain`.', {
      retentionDays: { ...whole('Age at which a trace is dropped.', 7, 0, 3650), type: 'number' },
      retentionBytes: whole('Size of all traces together.', 1024 ** 3, 1024 * 1024, 2 ** 50),
    }),
    log: section('JSON lines on standard error, or in a file.', {
      level: choice('Least severity written.', logLevels, 'info'),
      file: text('Reopened on SIGHUP and SIGUSR1.'),
    }),
  },
};
