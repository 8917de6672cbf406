/** Tells a trace in words: who sent what, what each plugin said and changed, what became of each copy. */
import type { Json } from '../../core/base/json.ts';
import type { Edit } from '../../core/mail/edit.ts';
import type { TraceEntry } from '../../core/pipeline/request.ts';
import type { Verdict } from '../../core/session/verdict.ts';
import type { StoredTrace, TracePart } from '../../core/state/trace-store.ts';
import type { WalkTrace } from '../flow/house.ts';
import { printableText } from './printable.ts';
import { formatTable } from './table.ts';

/** Several lines, the last without line end. */
export function tellStory(trace: StoredTrace<WalkTrace>): string {
  const sections = [headline(trace), arrival(trace), filtering(trace), ...aftermath(trace)];
  return printableText(sections.map((section) => section.trimEnd()).join('\n\n'));
}

/** What an edit does, in a few words; folded fields in one line. */
export function describeEdit(edit: Edit): string {
  switch (edit.type) {
    case 'addHeader':
    case 'insertHeader':
      return `+ ${edit.name}: ${unfolded(edit.value)}`;
    case 'changeHeader':
      return `~ ${edit.name}: ${unfolded(edit.value)}`;
    case 'deleteHeader':
      return `- ${edit.name}${edit.nth === 'all' || edit.nth === 1 ? '' : ` (${edit.nth})`}`;
    case 'replaceBody':
      return '~ body';
    case 'changeSender':
      return `sender is <${edit.address}>`;
    case 'addRecipient':
      return `+ recipient ${edit.address}`;
    case 'deleteRecipient':
      return `- recipient ${edit.address}`;
  }
}

function unfolded(value: string): string {
  return value.replace(/\r\n(?=[ \t])/g, '').replaceAll('\t', ' ');
}

export function describeVerdict(verdict: Verdict): string {
  switch (verdict.action) {
    case 'continue':
    case 'accept':
      return verdict.action;
    case 'reject':
    case 'tempfail':
      return `${verdict.action} ${verdict.code} ${verdict.enhanced} ${verdict.text}`;
    case 'discard':
    case 'quarantine':
      return `${verdict.action}: ${verdict.reason}`;
  }
}

function headline(trace: WalkTrace): string {
  const replies = trace.replies.map((reply) => [reply.code, reply.enhanced ?? '', reply.text].join(' '));
  return [
    `${trace.id}: ${trace.outcome} in ${Math.round(trace.ms)} ms`,
    ...new Set(replies.map((reply) => `  answered ${reply}`)),
  ].join('\n');
}

function arrival({ at, connection, session, envelope, messageId, length }: WalkTrace): string {
  const { tls, user, helo } = session;
  const client = connection.remoteIp === '' ? 'a local program' : connection.remoteIp;
  const facts: [string, string][] = [
    ['when', new Date(at).toISOString()],
    [
      'client',
      `${client}${helo === '' ? '' : `, calls itself ${helo}`}${connection.trusted ? ', trusted' : ''}`,
    ],
    ['door', `${connection.listener} (${connection.door})${tls ? `, ${tls.protocol}` : ', no TLS'}`],
    ...(user === undefined ? [] : [['user', user] as [string, string]]),
    ['from', `<${envelope.sender}>`],
    ['to', envelope.recipients.map(({ address }) => address).join(', ')],
    ['message', `${messageId === '' ? 'no Message-ID' : messageId}, ${length} octets`],
  ];
  return facts.map(([name, value]) => `  ${name.padEnd(8)} ${value}`).join('\n');
}

function filtering({ entries }: WalkTrace): string {
  if (entries.length === 0) return 'No plugin ran.';
  const table = formatTable(entries, [
    { title: 'stage', value: ({ stage }) => stage },
    { title: 'plugin', value: ({ plugin }) => plugin },
    { title: 'ms', value: ({ ms }) => ms.toFixed(1), align: 'right' },
    { title: 'what it did', value: (entry) => whatItDid(entry).join('; '), shrink: true },
  ]);
  return `Plugins:\n${indented(table)}`;
}

function whatItDid(entry: TraceEntry): string[] {
  const { verdict, edits = [], score, failure, actions = [], log = [], asked = [] } = entry;
  const { shadow = false, breaksSignatures = [] } = entry;
  const did = [
    ...(failure === undefined ? [] : [`FAILED (${failure.kind}): ${failure.message}, so ${failure.policy}`]),
    ...(verdict === undefined || verdict.action === 'continue' ? [] : [describeVerdict(verdict)]),
    ...(score === undefined || score === 0 ? [] : [`score ${score}`]),
    ...edits.map(describeEdit),
    ...(breaksSignatures.length === 0 ? [] : [`breaks the DKIM signature of ${breaksSignatures.join(', ')}`]),
    ...actions.map((action) => ('mailbox' in action ? `${action.type} ${action.mailbox}` : action.type)),
    ...log.map(({ event, facts }) => (facts === undefined ? event : `${event} ${showFacts(facts)}`)),
    ...asked.map(({ what, answer, ms }) => `asked ${what}: ${JSON.stringify(answer)} (${Math.round(ms)} ms)`),
  ];
  if (did.length === 0) did.push('nothing');
  return shadow ? ['SHADOW, so nothing of this counted', ...did] : did;
}

function aftermath({ recipients, parts }: StoredTrace<WalkTrace>): string[] {
  const fates = Object.entries(recipients);
  return [
    ...(fates.length === 0
      ? []
      : [['Recipients:', ...fates.map(([address, fate]) => `  ${address}: ${showValue(fate)}`)].join('\n')]),
    ...(parts.length === 0 ? [] : [['Afterwards:', ...parts.map(describePart)].join('\n')]),
  ];
}

function describePart({ at, event, ...facts }: TracePart): string {
  return `  ${new Date(at).toISOString()} ${event} ${showFacts(facts)}`.trimEnd();
}

function showFacts(facts: Readonly<Record<string, Json>>): string {
  return Object.entries(facts)
    .map(([key, value]) => `${key}=${showValue(value)}`)
    .join(' ');
}

function showValue(value: Json): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}

function indented(text: string): string {
  return text.replace(/^(?=.)/gm, '  ');
}
