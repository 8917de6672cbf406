/** notify and denotify of the draft that became enotify: draft-martin-sieve-notify-01. Mail is the only method. */
import { isAddress } from '../../../core/mail/address.ts';
import { comparators } from '../comparators.ts';
import { Fault } from '../fault.ts';
import { fieldText, writeMail } from '../generated-mail.ts';
import { readableText, walkParts } from '../mime/part.ts';
import { notYetNotified, rememberNotified } from '../notified.ts';
import type { Entry } from '../plan.ts';
import type { Run } from '../run.ts';
import { parseSingleAddress } from '../single-address.ts';
import type { ActionSpec, Extension, TagSpec } from '../spec.ts';
import { cutToOctets, shown } from '../text.ts';
import type { Use } from '../use.ts';
import { Values } from '../values.ts';
import { importanceFields, isAutomatic } from './enotify.ts';

type Importance = 1 | 2 | 3;

/** What denotify finds a notification by. */
interface Wish {
  readonly entry: Entry;
  readonly id: string | undefined;
  readonly importance: Importance;
}

const importanceGroup = 'importance';
const importances: Readonly<Record<string, Importance>> = { high: 1, normal: 2, low: 3 };
const importanceTags: readonly TagSpec[] = Object.keys(importances).map((name) => ({
  name,
  group: importanceGroup,
}));

const notifyCommand: ActionSpec = {
  name: 'notify',
  kind: 'command',
  tags: [
    { name: 'method', parameter: 'string' },
    { name: 'id', parameter: 'string' },
    { name: 'options', parameter: 'string-list' },
    { name: 'message', parameter: 'string' },
    ...importanceTags,
  ],
  compile(use) {
    const id = use.tagText('id');
    const options = use.tagTexts('options');
    const message = use.tagText('message');
    const importance = importanceOf(use) ?? 2;
    use.compiler.needsBody = true;
    checkConstants(use);
    return (run) => {
      const recipients = notYetNotified(run, (options?.values(run) ?? []).map(addressOf));
      if (recipients.length === 0) return;
      const text = message?.value(run) ?? '$from$: $subject$';
      const at = run.place;
      const entry: Entry = {
        kind: 'notify',
        at,
        finish: () => {
          const mail = mailOf(run, recipients, importance, text);
          const method = `mailto:${recipients.map(encodeURIComponent).join(',')}`;
          return mail && { type: 'notify', method, importance, options: [], mail, at };
        },
      };
      run.plan.add(entry);
      rememberNotified(run, recipients, entry);
      wishes(run).push({ entry, id: id?.value(run), importance });
      run.trace?.input('did', `notify ${recipients.join(' ')}`);
    };
  },
};

function checkConstants(use: Use): void {
  const method = use.tagText('method')?.constant;
  if (method !== undefined && method.toLowerCase() !== 'mailto')
    use.error(
      "the notify command of the deprecated notify extension only supports the 'mailto' notification method",
      use.tagAt('method'),
    );
  if (!use.has('options'))
    use.compiler.problems.warning(
      use.node.at,
      'no-effect',
      'no :options (and hence recipients) specified for the notify command',
    );
  for (const option of use.tagTexts('options')?.constant ?? []) {
    const parsed = parseSingleAddress(option);
    if ('error' in parsed)
      use.error(
        `specified :options address '${shown(option)}' is invalid for the mailto notify method: ${parsed.error}`,
        use.tagAt('options'),
      );
  }
}

function addressOf(option: string): string {
  const parsed = parseSingleAddress(option);
  // What no server takes would hold up the message for ever.
  const error = 'error' in parsed ? parsed.error : isAddress(parsed.address) ? undefined : 'invalid domain';
  if ('error' in parsed || error !== undefined)
    throw new Fault(`notify: specified :options address '${shown(option)}' is invalid: ${error}`);
  return parsed.address;
}

const denotifyMatches: readonly TagSpec[] = ['is', 'contains', 'matches'].map((name) => ({
  name,
  parameter: 'string',
  group: 'MATCH-TYPE',
}));

const denotify: ActionSpec = {
  name: 'denotify',
  kind: 'command',
  tags: [...denotifyMatches, ...importanceTags],
  compile(use) {
    const importance = importanceOf(use);
    const type = denotifyMatches.find(({ name }) => use.has(name));
    const keys = type && use.tagTexts(type.name);
    const matcher =
      keys &&
      use.compiler.matchType(type.name).compile(use, keys, comparators.get('i;octet')!, use.tagAt(type.name));
    return (run) => {
      const isMeant = (wish: Wish) =>
        (importance === undefined || wish.importance === importance) &&
        (matcher === undefined || (wish.id !== undefined && matcher(run, new Values([wish.id]))));
      const gone = wishes(run).filter(isMeant);
      for (const { entry } of gone) run.plan.drop(entry);
      run.trace?.input('did', `denotify ${gone.length}`);
    };
  },
};

function importanceOf(use: Use): Importance | undefined {
  const chosen = use.groups.get(importanceGroup);
  return chosen === undefined ? undefined : importances[chosen];
}

function wishes(run: Run): Wish[] {
  const known = run.kept.get('notify') as Wish[] | undefined;
  if (known) return known;
  const none: Wish[] = [];
  run.kept.set('notify', none);
  return none;
}

function mailOf(run: Run, recipients: readonly string[], importance: Importance, text: string) {
  if (isAutomatic(run)) return undefined;
  const message = writeMail(run, {
    fields: [
      ['From', `<postmaster@${run.settings.hostname ?? 'localhost'}>`],
      ['To', recipients.map((address) => `<${address}>`).join(', ')],
      ['Subject', '[SIEVE] New mail notification'],
      ['Auto-Submitted', 'auto-generated (notify)'],
      ['Precedence', 'bulk'],
      ...importanceFields(importance),
    ],
    body: expanded(run, text),
  });
  return { sender: '', recipients, message };
}

/** `$from$`, `$env-from$`, `$subject$`, `$text$`, `$text[octets]$`. */
function expanded(run: Run, text: string): string {
  const { fields } = run.original;
  const whole = text.replace(
    /\$(?:(from|subject)|(env-from)|text(?:\[(\d{1,9})\])?)\$/g,
    (_, field, envelope, octets) => {
      if (field !== undefined) return fieldText(fields.values(field).texts[0] ?? '');
      if (envelope !== undefined) return run.environment.envelope.from ?? '';
      const body = bodyText(run);
      return octets === undefined ? body : cutToOctets(body, Number(octets));
    },
  );
  return cutToOctets(whole, run.limits.bodyTextBytesMax);
}

/** The first text of the message. */
function bodyText(run: Run): string {
  for (const part of walkParts(run.original.tree(run.limits))) {
    const text = part.type === 'text' ? readableText(part, run.limits.variableBytesMax) : undefined;
    if (text !== undefined) return text;
  }
  return '';
}

export const notify: Extension = {
  name: 'notify',
  replacedBy: 'enotify',
  specs: [notifyCommand, denotify],
};
