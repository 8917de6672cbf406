/** notify, valid_notify_method, notify_method_capability, `:encodeurl`. RFC 5435; the method mailto: RFC 5436. */
import { isAddress } from '../../../core/mail/address.ts';
import type { NotifyAction } from '../actions.ts';
import { Fault } from '../fault.ts';
import { fieldText, writeMail } from '../generated-mail.ts';
import { parseMailto } from '../mailto.ts';
import { notYetNotified, rememberNotified } from '../notified.ts';
import type { Entry } from '../plan.ts';
import type { Run } from '../run.ts';
import { parseSingleAddress } from '../single-address.ts';
import type { ActionSpec, Extension, Modifier, TestSpec } from '../spec.ts';
import { fccOption } from '../store-options.ts';
import { shown, textOctets } from '../text.ts';
import type { Use } from '../use.ts';
import { Values } from '../values.ts';

/** Methods that have an RFC (5437 xmpp, 6468 sip) or that environments are known to have. */
const schemes: ReadonlySet<string> = new Set([
  'mailto',
  'xmpp',
  'sip',
  'sips',
  'tel',
  'sms',
  'http',
  'https',
]);

const notifyCommand: ActionSpec = {
  name: 'notify',
  kind: 'command',
  tags: [
    { name: 'from', parameter: 'string' },
    { name: 'importance', parameter: 'string' },
    { name: 'options', parameter: 'string-list' },
    { name: 'message', parameter: 'string' },
  ],
  positional: [{ name: 'method', type: 'string' }],
  compile(use) {
    const method = use.text(0);
    const from = use.tagText('from');
    const importance = use.tagText('importance');
    const options = use.tagTexts('options');
    const message = use.tagText('message');
    const fcc = fccOption(use);
    checkConstants(use);
    return (run) => {
      const uri = method.value(run);
      const problem = methodProblem(uri);
      if (problem) throw new Fault(`notify action: ${problem}`);
      const level = importance?.value(run) ?? '2';
      if (!/^[123]$/.test(level))
        throw new Fault(`invalid :importance value for notify command: ${shown(level)}`);
      const wish: Wish = {
        method: uri,
        importance: Number(level) as 1 | 2 | 3,
        from: from?.value(run),
        options: options?.values(run) ?? [],
        message: message?.value(run),
        fcc: fcc?.(run),
      };
      addNotification(run, wish);
      run.trace?.input('did', `notify ${uri}`);
    };
  },
};

/** Of mail, whom another rule notifies already is left out; where nobody is left there is nothing to do. */
function addNotification(run: Run, wish: Wish): void {
  const at = run.place;
  const uri = /^mailto:/i.test(wish.method) ? parseMailto(wish.method) : undefined;
  if (uri === undefined || 'error' in uri) {
    run.plan.add({ kind: 'notify', at, finish: () => finish(run, wish, at) });
    return;
  }
  const all = [...uri.to, ...uri.cc, ...uri.bcc];
  const recipients = notYetNotified(run, all);
  if (recipients.length === 0 && all.length > 0) return;
  const entry: Entry = { kind: 'notify', at, finish: () => finish(run, wish, at, recipients) };
  run.plan.add(entry);
  rememberNotified(run, recipients, entry);
}

interface Wish {
  readonly method: string;
  readonly importance: 1 | 2 | 3;
  readonly from: string | undefined;
  readonly options: readonly string[];
  readonly message: string | undefined;
  readonly fcc: NotifyAction['fcc'];
}

function checkConstants(use: Use): void {
  const method = use.text(0).constant;
  const problem = method === undefined ? undefined : methodProblem(method);
  if (problem) use.error(`notify command: ${problem}`, use.at(0));
  else if (method !== undefined) warnOf(use, method);
  const level = use.tagText('importance')?.constant;
  if (level !== undefined && !/^[123]$/.test(level))
    use.error(`invalid :importance value for notify command: ${shown(level)}`, use.tagAt('importance'));
  const from = use.tagText('from')?.constant;
  const parsed = from === undefined || !/^mailto:/i.test(method ?? '') ? undefined : parseSingleAddress(from);
  if (parsed && 'error' in parsed)
    use.error(
      `notify command: specified :from address '${shown(from!)}' is invalid for the mailto method: ${parsed.error}`,
      use.tagAt('from'),
    );
  for (const option of use.tagTexts('options')?.constant ?? []) {
    if (!/^[A-Za-z0-9][A-Za-z0-9._-]*=/.test(option))
      use.error(
        `notify command: invalid option name specified in option '${shown(option)}'`,
        use.tagAt('options'),
      );
  }
}

function warnOf(use: Use, method: string): void {
  const parsed = /^mailto:/i.test(method) ? parseMailto(method) : undefined;
  if (!parsed || 'error' in parsed) return;
  for (const warning of parsed.warnings)
    use.compiler.problems.warning(use.at(0), 'no-effect', `notify command: mailto URI: ${warning}`);
}

/** Undefined for a method that can be tried. */
function methodProblem(uri: string): string | undefined {
  const scheme = /^([A-Za-z][A-Za-z0-9+.-]*):/.exec(uri)?.[1]?.toLowerCase();
  if (scheme === undefined) return `invalid scheme part for method URI '${shown(uri)}'`;
  if (!schemes.has(scheme)) return `invalid method '${scheme}'`;
  if (scheme !== 'mailto') return undefined;
  const parsed = parseMailto(uri);
  return 'error' in parsed ? `mailto URI: ${parsed.error}` : undefined;
}

/** @param recipients who is to get the mail */
function finish(
  run: Run,
  wish: Wish,
  at: Run['place'],
  recipients: readonly string[] = [],
): NotifyAction | undefined {
  const { method, importance, options, from, message, fcc } = wish;
  const action: NotifyAction = {
    type: 'notify',
    method,
    importance,
    options,
    ...(from !== undefined && { from }),
    ...(message !== undefined && { message }),
    ...(fcc && { fcc }),
    at,
  };
  if (!/^mailto:/i.test(method)) return action;
  const mail = mailOf(run, wish, recipients);
  return mail && { ...action, mail };
}

/** RFC 5436 section 2.2: what was sent automatically makes no notification, or two users could set off each other's for ever. */
export function isAutomatic(run: Run): boolean {
  const values = run.original.fields.rawValues('auto-submitted');
  if (values.every((value) => /^no\b/i.test(value))) return false;
  run.note('no notification for a message that was submitted automatically');
  return true;
}

/** RFC 5436 section 2. */
function mailOf(run: Run, wish: Wish, recipients: readonly string[]): NotifyAction['mail'] | undefined {
  if (isAutomatic(run)) return undefined;
  const uri = parseMailto(wish.method);
  const { fields } = run.original;
  if ('error' in uri || recipients.length === 0) return undefined;
  const { envelope } = run.environment;
  const own = run.settings.userAddress ?? envelope.to ?? '';
  const sender = senderOf(run, wish);
  const subject = wish.message ?? uri.subject ?? `Notification: ${fields.values('subject').texts[0] ?? ''}`;
  const message = writeMail(run, {
    fields: [
      [
        'From',
        wish.from ?? (own === '' ? `<postmaster@${run.settings.hostname ?? 'localhost'}>` : `<${own}>`),
      ],
      ...addressField(
        'To',
        uri.to.filter((address) => recipients.includes(address)),
      ),
      ...addressField(
        'Cc',
        uri.cc.filter((address) => recipients.includes(address)),
      ),
      ['Subject', fieldText(subject)],
      // Section 2.7: owner and the id of the loop.
      ['Auto-Submitted', `auto-notified; owner-email="${own.replace(/["\\]/g, '')}"`],
      ['Precedence', 'bulk'],
      ...importanceFields(wish.importance),
      ...uri.fields.map(([name, value]): [string, string] => [name, fieldText(value)]),
    ],
    body: uri.body ?? notificationText(run),
  });
  return { sender, recipients, message };
}

/** Section 2.3: the null path for what came from it, else who is responsible for the notification. */
function senderOf(run: Run, wish: Wish): string {
  const { envelope } = run.environment;
  if ((envelope.from ?? '') === '') return '';
  if (run.settings.notifySender !== undefined) return run.settings.notifySender;
  const parsed = wish.from === undefined ? undefined : parseSingleAddress(wish.from);
  if (parsed && !('error' in parsed) && isAddress(parsed.address)) return parsed.address;
  return run.settings.userAddress ?? envelope.to ?? '';
}

function addressField(name: string, addresses: readonly string[]): [string, string][] {
  return addresses.length === 0 ? [] : [[name, addresses.map((address) => `<${address}>`).join(', ')]];
}

export function importanceFields(importance: 1 | 2 | 3): [string, string][] {
  if (importance === 1)
    return [
      ['X-Priority', '1 (Highest)'],
      ['Importance', 'High'],
    ];
  if (importance === 3)
    return [
      ['X-Priority', '5 (Lowest)'],
      ['Importance', 'Low'],
    ];
  return [
    ['X-Priority', '3 (Normal)'],
    ['Importance', 'Normal'],
  ];
}

function notificationText(run: Run): string {
  const { fields } = run.original;
  const line = (label: string, name: string) => {
    const value = fields.values(name).texts[0];
    return value === undefined ? '' : `${label}: ${value.toWellFormed()}\r\n`;
  };
  return `Notification of new message.\r\n\r\n${line('From', 'from')}${line('Subject', 'subject')}${line('Date', 'date')}`;
}

const validNotifyMethod: TestSpec = {
  name: 'valid_notify_method',
  kind: 'test',
  positional: [{ name: 'notification-uris', type: 'string-list' }],
  compile(use) {
    const uris = use.texts(0);
    return (run) => uris.values(run).every((uri) => isValid(run, uri));
  },
};

function isValid(run: Run, uri: string): boolean {
  if (methodProblem(uri) !== undefined) return false;
  if (/^mailto:/i.test(uri)) return true;
  return run.ask(`notify method ${uri}`, () => run.environment.notifyMethod?.(uri) ?? false);
}

const notifyMethodCapability: TestSpec = {
  name: 'notify_method_capability',
  kind: 'test',
  matches: true,
  positional: [
    { name: 'notification-uri', type: 'string' },
    { name: 'notification-capability', type: 'string' },
    { name: 'key-list', type: 'string-list' },
  ],
  compile(use) {
    const uri = use.text(0);
    const capability = use.text(1);
    const match = use.match(2);
    return (run) => {
      const method = uri.value(run);
      const name = capability.value(run).toLowerCase();
      // RFC 5436 section 2.8: for mail nobody can tell who is online.
      const value = /^mailto:/i.test(method)
        ? name === 'online' && methodProblem(method) === undefined
          ? 'maybe'
          : undefined
        : run.ask(`notify capability ${method}\n${name}`, () =>
            run.environment.notifyCapability?.(method, name),
          );
      return value !== undefined && match(run, new Values([value]));
    };
  },
};

/** RFC 5435 section 6: everything but unreserved characters, as octets. */
const encodeUrl: Modifier = {
  name: 'encodeurl',
  precedence: 15,
  units: /%[0-9A-F]{2}|[\s\S]/g,
  apply(text) {
    let out = '';
    for (const octet of textOctets(text)) {
      const character = String.fromCharCode(octet);
      out += /[A-Za-z0-9._~-]/.test(character)
        ? character
        : `%${octet.toString(16).toUpperCase().padStart(2, '0')}`;
    }
    return out;
  },
};

export const enotify: Extension = {
  name: 'enotify',
  specs: [notifyCommand, validNotifyMethod, notifyMethodCapability],
  modifiers: [encodeUrl],
  tags: { set: [{ name: 'encodeurl' }], extracttext: [{ name: 'encodeurl' }] },
};
