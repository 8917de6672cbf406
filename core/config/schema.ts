/** JSON Schema (draft-07) of mailfilter.json. Editors complete from it, ajv checks with it; `expects` words an error where a pattern would not. */
import { limitProperties } from './schema/limits.ts';
import { listener } from './schema/listener.ts';
import { mailbox } from './schema/mailbox.ts';
import { fetchAccount, outboundProperties } from './schema/outbound.ts';
import { pipelineEntry } from './schema/pipeline.ts';
import { queue } from './schema/queue.ts';
import { route } from './schema/route.ts';
import { choice, flag, type JsonSchema, list, names, section, text, whole } from './schema/words.ts';

const logLevels = ['trace', 'debug', 'info', 'warn', 'error'] as const;

const network = text('Address or CIDR range, such as 192.0.2.0/24 or 2001:db8::/32.');

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
    mailbox,
    routes: list(
      'What happens to a recipient. Default: `domains` to mailboxes, everything else refused.',
      route,
    ),
    queue,
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
        clientCaFile: text(
          'PEM of those who sign certificates of users: SMTP then offers AUTH EXTERNAL to who shows one that names an address of a user (RFC 4422). Added to a running server it counts from the next start.',
        ),
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
      access: whole('Processes for IMAP, POP3 and ManageSieve; 0 runs none.', 1, 0, 64),
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
