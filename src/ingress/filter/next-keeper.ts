/**
 * The server behind a filter door as the keeper of its mail. Sender and recipients are offered to it as they come, so
 * that its refusals are answers to MAIL and RCPT; the message follows once plugins have decided, and its answer is ours.
 */
import { OperationalError } from '../../../core/base/errors.ts';
import type { Log } from '../../../core/base/log.ts';
import type { Edit } from '../../../core/mail/edit.ts';
import type { Envelope, Recipient, RecipientId } from '../../../core/mail/envelope.ts';
import { render, streamRendered } from '../../../core/mail/render.ts';
import type { Reply } from '../../../core/mail/reply.ts';
import type { OutgoingMessage, SmtpClient } from '../../../core/net/smtp-client.ts';
import { mailCommand, type OutgoingEnvelope, rcptCommand, unfit } from '../../../core/net/smtp-commands.ts';
import { isPositive } from '../../../core/net/smtp-reply.ts';
import type { Decision, Keeper, Offer } from '../../flow/keeper.ts';
import type { Answer } from '../../flow/session.ts';
import { clientAttributes } from './client-attributes.ts';
import type { NextConnections } from './next-connections.ts';

export interface NextSettings {
  readonly connections: NextConnections;
  readonly log: Log;
  readonly via: string;
  readonly lmtp: boolean;
  /** The message may go on in several transactions, one for each set of edits. */
  readonly editsPerRecipient: boolean;
}

/** A transaction that the next server is in. */
interface Open {
  readonly client: SmtpClient;
  /** MAIL without its SIZE, and the addresses that were accepted. */
  readonly mail: string;
  readonly accepted: string[];
}

export class NextKeeper implements Keeper {
  readonly receives = true;
  readonly #settings: NextSettings;
  #open: Open | undefined;
  /** A command is under way: whoever gives up meanwhile has its connection given back after it. */
  #working = false;
  #abandoned = false;

  constructor(settings: NextSettings) {
    this.#settings = settings;
  }

  get via(): string {
    return this.#settings.via;
  }

  get answersPerRecipient(): boolean {
    return this.#settings.lmtp;
  }

  begin(offer: Offer): Promise<Answer> {
    return this.#work(offer.id, async () => {
      const open = await this.#begin(offer);
      if ('code' in open) return open;
      this.#open = open;
      return undefined;
    });
  }

  admit(offer: Offer, recipients: readonly Recipient[]): Promise<Answer> {
    return this.#work(offer.id, async () => {
      const open = this.#open ?? (await this.#begin(offer));
      if ('code' in open) return open;
      this.#open = open;
      for (const recipient of recipients) {
        const reply = await open.client.command(rcptCommand(recipient, open.client.extensions));
        if (!isPositive(reply)) return ours(reply);
        open.accepted.push(recipient.address);
      }
      return undefined;
    });
  }

  async keep(decision: Decision): Promise<ReadonlyMap<RecipientId, Reply>> {
    const groups = groupByEdits(decision);
    if (groups.length > 1 && !this.#settings.editsPerRecipient) {
      this.#settings.log.error('edits-differ', { id: decision.id });
      return new Map(decision.recipients.map(({ id }) => [id, differs]));
    }
    const answers = new Map<RecipientId, Reply>();
    for (const { recipients, edits } of groups) {
      const answered = await this.#work(decision.id, () => this.#pass(decision, recipients, edits));
      for (const [index, { id }] of recipients.entries()) {
        answers.set(id, Array.isArray(answered) ? ours(answered[index] ?? unreachable) : unreachable);
      }
    }
    return answers;
  }

  abandon(): void {
    this.#abandoned = this.#working;
    if (this.#working) return;
    const open = this.#open;
    this.#open = undefined;
    if (open) void this.#reset(open.client);
  }

  /** What the next server fails at is for the client to try again. */
  async #work<T>(id: string, run: () => Promise<T>): Promise<T | Reply> {
    this.#working = true;
    try {
      return await run();
    } catch (error) {
      this.#open?.client.destroy();
      this.#open = undefined;
      if (!(error instanceof OperationalError)) throw error;
      this.#settings.log.warn('next-failed', { id, next: this.via, code: error.code, error: error.message });
      return unreachable;
    } finally {
      this.#working = false;
      if (this.#abandoned) this.abandon();
    }
  }

  /** MAIL at the next server, over a connection that rested where it still stands. */
  async #begin({ id, connection, session, envelope }: Offer): Promise<Open | Reply> {
    const begin = async (client: SmtpClient): Promise<Open | Reply> => {
      const outgoing = outgoingEnvelope(envelope, envelope.recipients, []);
      const refused = unfit(outgoing, client.extensions, envelope.declaredSizeBytes);
      if (refused) {
        this.#settings.connections.give(client);
        return refused;
      }
      await client.forwardClient('XFORWARD', clientAttributes(connection, session, id));
      const reply = await client.command(
        mailCommand(outgoing, client.extensions, envelope.declaredSizeBytes),
      );
      if (isPositive(reply)) {
        return { client, mail: mailCommand(outgoing, client.extensions, undefined), accepted: [] };
      }
      await this.#reset(client);
      return ours(reply);
    };
    const rested = this.#settings.connections.rested();
    if (rested) {
      try {
        return await begin(rested);
      } catch (error) {
        // It was closed while nobody looked; a server that is really gone is found out below.
        if (!(error instanceof OperationalError)) throw error;
        rested.destroy();
      }
    }
    const client = await this.#settings.connections.fresh();
    try {
      return await begin(client);
    } catch (error) {
      client.destroy();
      throw error;
    }
  }

  /** One group of recipients with the same message: by the transaction that is open where it fits, else by another. */
  async #pass(
    decision: Decision,
    recipients: readonly Recipient[],
    edits: readonly Edit[],
  ): Promise<readonly Reply[]> {
    const outgoing = outgoingEnvelope(decision.envelope, recipients, edits);
    const open = await this.#transactionFor(decision, outgoing, recipients);
    if ('code' in open) return recipients.map(() => open);
    const { client } = open;
    const message = messageOf(decision, edits);
    const refused = unfit(outgoing, client.extensions, message.length);
    if (refused) {
      this.#open = undefined;
      await this.#reset(client);
      return recipients.map(() => refused);
    }
    const answers = await client.transmit(message, recipients.length, outgoing.body === 'binarymime');
    this.#open = undefined;
    this.#settings.connections.give(client);
    return answers;
  }

  /** A hook may have changed who sends and who gets it: then the next server is told again from the start. */
  async #transactionFor(
    decision: Decision,
    outgoing: OutgoingEnvelope,
    recipients: readonly Recipient[],
  ): Promise<Open | Reply> {
    const open = this.#open;
    if (open?.client.usable && fits(open, outgoing, recipients)) return open;
    this.#open = undefined;
    if (open?.client.usable) await this.#reset(open.client);
    else open?.client.destroy();
    const begun = await this.#begin({
      ...decision,
      envelope: { ...decision.envelope, body: outgoing.body! },
    });
    if ('code' in begun) return begun;
    this.#open = begun;
    for (const recipient of recipients) {
      const reply = await begun.client.command(rcptCommand(recipient, begun.client.extensions));
      if (isPositive(reply)) continue;
      // Nobody has the message yet, so that one who is refused now speaks for all.
      this.#open = undefined;
      await this.#reset(begun.client);
      return ours(reply);
    }
    return begun;
  }

  /** Ends a transaction and gives the connection back, or closes it where the server does not answer. */
  async #reset(client: SmtpClient): Promise<void> {
    try {
      if (client.usable) await client.command('RSET');
    } catch (error) {
      if (!(error instanceof OperationalError)) throw error;
      client.destroy();
    }
    this.#settings.connections.give(client);
  }
}

/** RFC 3463: X.4.1, no answer from host. */
const unreachable: Reply = { code: 451, enhanced: '4.4.1', text: 'the next server cannot be reached' };
/** RFC 3463: X.3.5, system incorrectly configured. */
const differs: Reply = { code: 451, enhanced: '4.3.5', text: 'server is misconfigured' };

/** Its 421 ends the session there, not the one here. */
function ours(reply: Reply): Reply {
  return reply.code === 421 ? { ...reply, code: 451 } : reply;
}

function fits(open: Open, outgoing: OutgoingEnvelope, recipients: readonly Recipient[]): boolean {
  if (open.mail !== mailCommand(outgoing, open.client.extensions, undefined)) return false;
  const told = new Set(open.accepted);
  const wanted = new Set(recipients.map(({ address }) => address));
  // LMTP answers once for every RCPT, so that one address told twice would shift the answers.
  return (
    told.size === open.accepted.length &&
    told.size === wanted.size &&
    recipients.every(({ address }, index) => open.accepted[index] === address)
  );
}

function outgoingEnvelope(
  envelope: Envelope,
  recipients: readonly Recipient[],
  edits: readonly Edit[],
): OutgoingEnvelope {
  // A new body may hold octets that the client had not announced.
  const body =
    envelope.body === '7bit' && edits.some(({ type }) => type === 'replaceBody') ? '8bitmime' : envelope.body;
  const { sender, smtputf8, requireTls, ret, envid } = envelope;
  return { sender, recipients, body, smtputf8, requireTls, ret, envid };
}

function messageOf(
  { source, envelope }: Decision,
  edits: readonly Edit[],
): OutgoingMessage & { length: number } {
  const rendered = render(source, edits, { smtputf8: envelope.smtputf8 });
  return { length: rendered.length, chunks: streamRendered(rendered, 'crlf') };
}

interface Group {
  readonly recipients: Recipient[];
  readonly edits: readonly Edit[];
}

/** Recipients whose copies are the same, in order. */
function groupByEdits({ recipients, edits, recipientEdits }: Decision): Group[] {
  const groups = new Map<string, Group>();
  for (const recipient of recipients) {
    const own = recipientEdits[recipient.id] ?? [];
    const key = JSON.stringify(own, (_, value) => (value instanceof Uint8Array ? [...value] : value));
    const group = groups.get(key) ?? { recipients: [], edits: [...edits, ...own] };
    group.recipients.push(recipient);
    groups.set(key, group);
  }
  return [...groups.values()];
}
