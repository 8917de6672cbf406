/** The vacation command. RFC 5230, and RFC 3834 for what is not answered. */
import { createHash } from 'node:crypto';
import { parseAddressList } from '../../../core/mail/address-list.ts';
import { decodeWords } from '../../../core/mail/encoded-word.ts';
import type { VacationAction } from '../actions.ts';
import { Fault } from '../fault.ts';
import { fieldText, threadFields, writeMail } from '../generated-mail.ts';
import type { Run } from '../run.ts';
import { parseSingleAddress } from '../single-address.ts';
import type { ActionSpec, Extension } from '../spec.ts';
import { fccOption } from '../store-options.ts';
import type { Text } from '../strings.ts';
import { countCharacters, cutToOctets, shown, textOctets } from '../text.ts';
import type { Use } from '../use.ts';
import { whyNotAnswered } from './vacation-rules.ts';

const day = 86_400;

interface Wish {
  readonly reason: string;
  readonly seconds: number;
  readonly subject: string | undefined;
  readonly from: string | undefined;
  readonly addresses: readonly string[];
  readonly isMime: boolean;
  readonly handle: string | undefined;
  readonly fcc: VacationAction['fcc'];
}

const vacationCommand: ActionSpec = {
  name: 'vacation',
  kind: 'command',
  tags: [
    { name: 'days', parameter: 'number', group: 'period' },
    { name: 'subject', parameter: 'string' },
    { name: 'from', parameter: 'string' },
    { name: 'addresses', parameter: 'string-list' },
    { name: 'mime' },
    { name: 'handle', parameter: 'string' },
  ],
  positional: [{ name: 'reason', type: 'string' }],
  compile(use) {
    const wish = readWish(use);
    return (run) => {
      const asked = wish(run);
      const at = run.place;
      run.plan.add({ kind: 'vacation', at, finish: () => finish(run, asked, at) });
      run.trace?.input('did', 'vacation');
    };
  },
};

function readWish(use: Use): (run: Run) => Wish {
  const reason = use.text(0);
  const subject = use.tagText('subject');
  const from = fromOption(use);
  const addresses = use.tagTexts('addresses');
  const handle = use.tagText('handle');
  const days = use.tagNumber('days');
  const seconds = use.tagNumber('seconds');
  const isMime = use.has('mime');
  const fcc = fccOption(use);
  return (run) => ({
    reason: reason.value(run),
    subject: subject?.value(run),
    from: from?.(run),
    addresses: (addresses?.values(run) ?? []).flatMap((text) =>
      parseAddressList(text).map(({ address }) => address),
    ),
    seconds: periodOf(run, seconds ?? (days === undefined ? undefined : days * day)),
    isMime,
    handle: handle?.value(run),
    fcc: fcc?.(run),
  });
}

/** RFC 5230 section 4.3: not a valid address, not an address of the user at least. */
function fromOption(use: Use): ((run: Run) => string) | undefined {
  const from: Text | undefined = use.tagText('from');
  if (!from) return undefined;
  const problem = (text: string) => {
    const parsed = parseSingleAddress(text);
    if (!('error' in parsed)) return undefined;
    return `specified :from address '${shown(text)}' is invalid for vacation action: ${parsed.error}`;
  };
  const wrong = from.constant === undefined ? undefined : problem(from.constant);
  if (wrong) use.error(wrong, use.tagAt('from'));
  return (run) => {
    const text = from.value(run);
    const bad = problem(text);
    if (bad) throw new Fault(bad);
    return text;
  };
}

/** RFC 5230 section 4.1, RFC 6131 section 2: a period outside of the site's limits is brought within. */
function periodOf(run: Run, asked: number | undefined): number {
  const {
    vacationMinSeconds: min = day,
    vacationMaxSeconds: max = 0,
    vacationDefaultSeconds: byDefault = 7 * day,
  } = run.settings;
  const seconds = Math.max(asked ?? byDefault, min);
  return max > 0 ? Math.min(seconds, max) : seconds;
}

function finish(run: Run, wish: Wish, at: Run['place']): VacationAction | undefined {
  const recipient = run.environment.envelope.from ?? '';
  const decision = whyNotAnswered(run, recipient, wish.addresses);
  if ('reason' in decision) return declined(run, decision.reason);
  const key = keyOf(run, wish, recipient);
  if (run.ask(`vacation ${key}`, () => run.environment.vacationSeen?.(key) ?? false))
    return declined(run, `${recipient} was answered already`);
  const sender = run.settings.vacationFromRecipient ? decision.ownAddress : '';
  const message = compose(run, wish, recipient, decision.ownAddress);
  const { seconds, fcc } = wish;
  return { type: 'vacation', sender, recipient, message, key, seconds, ...(fcc && { fcc }), at };
}

function declined(run: Run, reason: string): undefined {
  run.trace?.input('did', `no vacation reply: ${reason}`);
  run.trace?.command(run.place, 'vacation');
}

/** RFC 5230 section 4.2: one reply for each sender and each text. */
function keyOf(run: Run, wish: Wish, recipient: string): string {
  const handle =
    wish.handle ?? [wish.reason, wish.subject ?? '', wish.from ?? '', wish.isMime ? 'mime' : ''].join('\0');
  const hash = createHash('sha256');
  for (const text of [cutToOctets(handle, run.limits.keyBytesMax), recipient.toLowerCase()])
    hash.update(textOctets(text)).update('\0');
  return `vacation:${hash.digest('base64url').slice(0, 32)}`;
}

function compose(run: Run, wish: Wish, recipient: string, ownAddress: string): Uint8Array {
  return writeMail(run, {
    fields: [
      ['From', wish.from ?? `<${ownAddress}>`],
      ['To', toField(run, recipient)],
      ['Subject', subjectOf(run, wish)],
      ...threadFields(run),
      // RFC 5230 section 5.7, RFC 3834 section 5.
      ['Auto-Submitted', 'auto-replied (vacation)'],
      ['Precedence', 'bulk'],
      ['X-Auto-Response-Suppress', 'All'],
    ],
    body: wish.reason,
    isMime: wish.isMime,
  });
}

/** The sender with the name that Sender or From gives. RFC 5230 section 5.6. */
function toField(run: Run, recipient: string): string {
  const { fields } = run.original;
  for (const name of ['sender', 'resent-from', 'from']) {
    for (const [index, { address, valid }] of fields.addresses(name).entries()) {
      if (!valid) continue;
      const same = address.toLowerCase() === recipient.toLowerCase();
      if (!same && !run.settings.vacationToIgnoresEnvelope) continue;
      const written = fields.addresses(name).length === 1 ? fields.rawValues(name)[0] : undefined;
      return index === 0 && written !== undefined ? written : `<${address}>`;
    }
  }
  return `<${recipient}>`;
}

/** RFC 5230 section 5.3. */
function subjectOf(run: Run, wish: Wish): string {
  if (wish.subject !== undefined) return subjectText(decodeWords(wish.subject));
  const original = run.original.fields.values('subject').texts[0] ?? '';
  const { vacationDefaultSubject: byDefault, vacationSubjectTemplate: template } = run.settings;
  if (original === '') return subjectText(byDefault || 'Automated reply');
  return subjectText((template || 'Auto: %{subject}').replaceAll('%{subject}', () => original));
}

/** Subjects come from strangers and from authors: they are cut where nobody reads on. */
function subjectText(text: string): string {
  const line = fieldText(
    text.length > 2 * subjectCharactersMax ? text.slice(0, 4 * subjectCharactersMax) : text,
  );
  if (countCharacters(line) <= subjectCharactersMax) return line;
  return `${[...line].slice(0, subjectCharactersMax - 1).join('')}\u2026`;
}

const subjectCharactersMax = 256;

export const vacation: Extension = { name: 'vacation', specs: [vacationCommand] };
