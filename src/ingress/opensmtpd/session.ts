/** One client of smtpd as our flow sees it: each phase is a question, the message comes in lines and goes back in lines. */
import { describeError } from '../../../core/base/errors.ts';
import type { Log } from '../../../core/base/log.ts';
import { parsePath } from '../../../core/mail/address.ts';
import { LineSplitter } from '../../../core/mail/line-splitter.ts';
import { renderStream } from '../../../core/mail/render.ts';
import type { Reply } from '../../../core/mail/reply.ts';
import type { Connection } from '../../../core/session/connection.ts';
import type { Decision, Keeper } from '../../flow/keeper.ts';
import type { Answer, FlowSession, MailFrom, MessageSink, OpenSession } from '../../flow/session.ts';
import { type FilterEvent, type FilterResult, formatDataLine, formatResult } from './lines.ts';

/** Where lines go; a promise means: wait. */
export type WriteLines = (text: string) => void | Promise<void>;

export interface FilterSessionOptions {
  readonly connection: Connection;
  readonly openSession: OpenSession;
  readonly write: WriteLines;
  readonly log: Log;
}

const proceed: FilterResult = { result: 'proceed' };

export class FilterSession implements Keeper {
  readonly via = 'smtpd';
  readonly answersPerRecipient = false;
  readonly receives = false;
  readonly #flow: FlowSession;
  readonly #write: WriteLines;
  readonly #log: Log;
  #connected = false;
  #sender = '';
  /** Recipients as smtpd has them, and the last of them. */
  #admitted: string[] = [];
  #rewritten: string | undefined;
  #sink: MessageSink | undefined;
  /** The question that the lines of the message belong to. */
  #lineEvent: FilterEvent | undefined;
  /** What is said at `commit`; set once the message was decided about. */
  #decided: FilterResult | undefined;

  constructor({ connection, openSession, write, log }: FilterSessionOptions) {
    this.#flow = openSession(connection, this);
    this.#write = write;
    this.#log = log;
  }

  /** Answers every question, whatever happens: smtpd waits for each without end. */
  async take(event: FilterEvent): Promise<void> {
    try {
      // Without it no plugin would be asked anything.
      if (!this.#connected && event.phase !== 'connect') await this.#connect();
      if (event.kind === 'report') this.#hear(event);
      else if (event.phase === 'data-line') await this.#takeLine(event);
      else await this.#write(formatResult(event, await this.#answer(event)));
    } catch (error) {
      this.#log.error('opensmtpd-bug', { session: event.session, error: describeError(error) });
      this.#decided = failure;
      const ends = event.phase === 'data-line' && event.text === '.';
      if (ends) await this.#write(formatDataLine(event, '.'));
      else if (event.kind === 'filter' && event.phase !== 'data-line') {
        await this.#write(formatResult(event, failure));
      }
    }
  }

  async close(): Promise<void> {
    this.#dropMessage();
    await this.#flow.close('quit');
  }

  async admit(_: unknown, recipients: readonly { readonly address: string }[]): Promise<Answer> {
    // One RCPT is one recipient here.
    if (recipients.length !== 1) return misconfigured;
    this.#rewritten = recipients[0]!.address;
    this.#admitted.push(this.#rewritten);
    return undefined;
  }

  /** The lines go back as they are decided about; `commit` may still take all of it back. */
  async keep(decision: Decision): Promise<ReadonlyMap<string, Reply>> {
    const problem = whatSmtpdCannot(decision, this.#sender, this.#admitted);
    if (problem !== undefined) {
      this.#log.error('opensmtpd-cannot', { id: decision.id, problem });
      return new Map(decision.envelope.recipients.map(({ id }) => [id, misconfigured]));
    }
    const lines = new LineSplitter();
    const options = { lineEnds: 'lf', smtputf8: decision.envelope.smtputf8 } as const;
    for await (const chunk of renderStream(decision.source, decision.edits, options)) {
      await this.#giveBack(lines.split(chunk));
    }
    await this.#giveBack(lines.end());
    return new Map(decision.recipients.map(({ id }) => [id, { code: 250, enhanced: '2.0.0', text: 'Ok' }]));
  }

  #connect(): Promise<Answer> {
    this.#connected = true;
    return this.#flow.connect();
  }

  #hear(event: FilterEvent): void {
    if (event.phase === 'link-tls') {
      const [protocol = '', cipher = ''] = event.text.split(':');
      this.#flow.secured({ protocol, cipher });
    } else if (event.phase === 'tx-reset') {
      this.#dropMessage();
      this.#flow.reset();
    }
  }

  async #answer({ phase, text }: FilterEvent): Promise<FilterResult> {
    switch (phase) {
      case 'connect':
        return resultOf(await this.#connect());
      case 'helo':
      case 'ehlo':
        return resultOf(await this.#flow.helo(text, phase === 'ehlo'));
      case 'mail-from':
        return this.#mailFrom(text);
      case 'rcpt-to':
        return this.#rcptTo(text);
      case 'data':
        return resultOf(await this.#flow.data());
      case 'commit': {
        // A commit without a decision would let a message through that nobody has seen.
        const decided = this.#decided ?? failure;
        this.#decided = undefined;
        return decided;
      }
      default:
        return proceed;
    }
  }

  async #mailFrom(text: string): Promise<FilterResult> {
    const path = pathOf(text, 'reverse');
    if (path === undefined) return { result: 'reject', error: '553 5.1.7 Bad sender address' };
    this.#sender = path.address;
    this.#admitted = [];
    this.#decided = undefined;
    const words = path.parameters.toUpperCase().split(' ');
    const mailFrom: MailFrom = {
      sender: path.address,
      body: words.includes('BODY=8BITMIME') ? '8bitmime' : '7bit',
      smtputf8: words.includes('SMTPUTF8'),
      requireTls: false,
    };
    return resultOf(await this.#flow.mailFrom(mailFrom));
  }

  async #rcptTo(text: string): Promise<FilterResult> {
    const path = pathOf(text, 'forward');
    if (path === undefined) return { result: 'reject', error: '553 5.1.3 Bad recipient address' };
    this.#rewritten = undefined;
    const answer = await this.#flow.rcptTo({ address: path.address, notify: [] });
    if (answer !== undefined && answer.code >= 400) return resultOf(answer);
    if (this.#rewritten === undefined || this.#rewritten === path.address) return proceed;
    const parameters = path.parameters === '' ? '' : ` ${path.parameters}`;
    return { result: 'rewrite', parameter: `<${this.#rewritten}>${parameters}` };
  }

  async #takeLine(event: FilterEvent): Promise<void> {
    this.#lineEvent = event;
    if (event.text === '.') {
      await this.#decide();
      await this.#write(formatDataLine(event, '.'));
      return;
    }
    if (this.#decided !== undefined) return;
    this.#sink ??= this.#flow.openMessage();
    const line = event.text.startsWith('.') ? event.text.slice(1) : event.text;
    try {
      await this.#sink.write(Buffer.from(`${line}\r\n`, 'latin1'));
    } catch (error) {
      this.#log.warn('opensmtpd-spool', { session: event.session, error: describeError(error) });
      this.#dropMessage();
      this.#decided = failure;
    }
  }

  async #decide(): Promise<void> {
    if (this.#decided !== undefined) return;
    const sink = this.#sink ?? this.#flow.openMessage();
    this.#sink = undefined;
    const spooled = await sink.finish();
    const [reply] = await this.#flow.message(spooled);
    this.#decided = resultOf(reply ?? misconfigured);
  }

  async #giveBack(lines: readonly Buffer[]): Promise<void> {
    if (lines.length === 0) return;
    const event = this.#lineEvent!;
    const text = lines.map((line) => {
      const latin1 = line.toString('latin1');
      return formatDataLine(event, latin1.startsWith('.') ? `.${latin1}` : latin1);
    });
    await this.#write(text.join(''));
  }

  #dropMessage(): void {
    this.#sink?.abort();
    this.#sink = undefined;
  }
}

/** RFC 3463: X.3.0 other mail system status, X.3.5 system incorrectly configured. */
const failure: FilterResult = {
  result: 'reject',
  error: '451 4.3.0 local error in processing, try again later',
};
const misconfigured: Reply = { code: 451, enhanced: '4.3.5', text: 'server is misconfigured' };

function resultOf(answer: Answer): FilterResult {
  if (answer === undefined || answer.code < 400) return proceed;
  const { code, enhanced, text } = answer;
  const error = [code, ...(enhanced === undefined ? [] : [enhanced]), text].join(' ');
  return { result: code === 421 || code === 521 ? 'disconnect' : 'reject', error };
}

/** What the filter protocol has no words for once the message is there. */
function whatSmtpdCannot(
  { envelope, recipients, recipientEdits, outcomes }: Decision,
  sender: string,
  admitted: readonly string[],
): string | undefined {
  if (envelope.sender !== sender) return 'another sender';
  if (envelope.recipients.map(({ address }) => address).join('\n') !== admitted.join('\n'))
    return 'other recipients';
  const kinds = new Set([...outcomes.values()].map(({ kind }) => kind));
  kinds.delete('same');
  if (kinds.size > 1 || !kinds.has('deliver')) return `no delivery, or not for all: ${[...kinds].join(', ')}`;
  return recipients.some(({ id }) => (recipientEdits[id]?.length ?? 0) > 0)
    ? 'edits by recipient'
    : undefined;
}

function pathOf(
  text: string,
  kind: 'reverse' | 'forward',
): { address: string; parameters: string } | undefined {
  const utf8 = Buffer.from(text, 'latin1').toString('utf8').trim();
  const bracketed = utf8.startsWith('<') ? utf8 : `<${utf8}>`;
  const path = parsePath(bracketed, { smtputf8: true, kind });
  if ('error' in path) return undefined;
  return { address: path.address, parameters: path.parametersText.trim() };
}
