/** Ask clamd about viruses before mail is taken. A message that was not scanned is never called clean. */
import {
  addHeader,
  type DaemonAddress,
  Daemons,
  definePlugin,
  deleteHeader,
  formatDaemonAddress,
  type HookAnswer,
  parseDaemonAddress,
  quarantine,
  reject,
  type Verdict,
} from 'mailfilter/plugin';
import { scan } from './clamd.ts';

const statusField = 'X-Virus-Status';

export default definePlugin({
  name: 'clamav',
  kind: 'score',
  reads: ['header:*', 'body'],
  writes: [`header:${statusField}`],
  options: {
    socket: {
      type: 'string',
      minLength: 1,
      description: "Path of clamd's socket; relative to the config.",
    },
    host: { type: 'string', minLength: 1, description: 'Host of clamd, where it listens on TCP.' },
    port: {
      type: 'integer',
      minimum: 1,
      maximum: 65_535,
      default: 3310,
      description: 'Port of clamd.',
    },
    servers: {
      type: 'array',
      items: { type: 'string', minLength: 1 },
      default: [],
      description: 'Several, in order of preference: unix:/path, host:port or [IPv6]:port.',
    },
    action: {
      type: 'string',
      enum: ['reject', 'quarantine', 'mark'],
      default: 'reject',
      description: 'What becomes of a message with a virus.',
    },
    tooLarge: {
      type: 'string',
      enum: ['fail', 'mark', 'reject'],
      default: 'fail',
      description:
        "Of one longer than clamd's StreamMaxLength: onFailure decides, it passes as unscanned, or 552.",
    },
    header: {
      type: 'boolean',
      default: true,
      description: `Write ${statusField}; those that came with the message are removed.`,
    },
  },
  setup: ({ options, baseDirectory }) =>
    new Daemons('clamd', addressesOf(options, baseDirectory), formatDaemonAddress),
  hooks: {
    // Apart from the scan, for what a scan that failed answers is not heard: nobody is to read a sender's own "Clean".
    headers({ message }, { options }) {
      if (!options.header || !message.headers.has(statusField)) return undefined;
      return { edits: [deleteHeader(statusField)] };
    },
    async message({ message }, context) {
      const { options, prepared: daemons, log } = context;
      const { daemon, found } = await daemons.ask(context, async (address, signal, name) => ({
        daemon: name,
        found: await scan(address, () => message.raw(), signal),
      }));
      const edits = (status: string) =>
        options.header ? [deleteHeader(statusField), addHeader(statusField, status)] : [];
      switch (found.outcome) {
        case 'clean':
          return { edits: edits('Clean'), result: { scanned: true, infected: false, daemon } };
        case 'infected': {
          log('infected', { virus: found.virus, daemon });
          const verdict = verdictOf(options.action, found.virus);
          return {
            ...(verdict && { verdict }),
            edits: edits(`Infected (${found.virus})`),
            result: { scanned: true, infected: true, viruses: [found.virus], daemon },
          };
        }
        case 'too-large':
          log('too-large', { octets: message.length, daemon });
          return tooLargeAnswer(options.tooLarge, message.length, daemon, edits);
      }
    },
  },
});

interface AddressOptions {
  readonly socket?: string;
  readonly host?: string;
  readonly port: number;
  readonly servers: readonly string[];
}

/** Where Debian's clamd listens, if nothing is said. */
const usualSocket = '/run/clamav/clamd.ctl';

function addressesOf(
  { socket, host, port, servers }: AddressOptions,
  baseDirectory: string,
): DaemonAddress[] {
  const addresses: DaemonAddress[] = [];
  if (socket !== undefined) {
    addresses.push(parseDaemonAddress(socket.includes(':') ? socket : `unix:${socket}`, baseDirectory));
  }
  if (host !== undefined) addresses.push({ host, port });
  addresses.push(...servers.map((text) => parseDaemonAddress(text, baseDirectory, port)));
  return addresses.length > 0 ? addresses : [{ path: usualSocket }];
}

function verdictOf(action: 'reject' | 'quarantine' | 'mark', virus: string): Verdict | undefined {
  // Names of signatures are the database's: nothing but plain ones goes to the client.
  const name = virus.replace(/[^\x20-\x7e]/g, '?').slice(0, 100);
  if (action === 'reject') return reject(554, '5.7.1', `message contains a virus: ${name}`);
  return action === 'quarantine' ? quarantine(`virus: ${virus}`) : undefined;
}

function tooLargeAnswer(
  tooLarge: 'fail' | 'mark' | 'reject',
  octets: number,
  daemon: string,
  edits: (status: string) => HookAnswer['edits'],
): HookAnswer {
  if (tooLarge === 'fail') {
    throw new Error(
      `${daemon} takes no message of ${octets} octets: raise StreamMaxLength in clamd.conf, or set the option tooLarge`,
    );
  }
  return {
    ...(tooLarge === 'reject' && {
      verdict: reject(552, '5.3.4', 'message is too large to be scanned for viruses'),
    }),
    edits: edits('Unscanned (too large)'),
    result: { scanned: false, reason: 'too large', daemon },
  };
}
