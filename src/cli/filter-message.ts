/** Runs one message through a pipeline without a server: the hooks that a door would raise, in its order. */
import { formatAuthenticationResults } from '../../core/mail/authentication-results.ts';
import type { Edit } from '../../core/mail/edit.ts';
import type { Envelope, Recipient } from '../../core/mail/envelope.ts';
import { formatReceived } from '../../core/mail/received.ts';
import type { MessageSource } from '../../core/mail/source.ts';
import {
  emptyPipelineState,
  type PipelineOutcome,
  type PipelineRequest,
  type PipelineState,
  type Pipelines,
  type TraceEntry,
} from '../../core/pipeline/request.ts';
import type { Connection, Session } from '../../core/session/connection.ts';
import type { Action } from '../../core/session/plan.ts';
import type { DoorName, HookName } from '../../core/session/powers.ts';
import type { Verdict } from '../../core/session/verdict.ts';

/** Who is said to have sent the message. */
export interface FilterFacts {
  /** `pipe` and `mda` when nothing is known of a client; else hooks run as at that door. */
  readonly door: Extract<DoorName, 'pipe' | 'mda' | 'smtp' | 'submission'>;
  readonly pipeline: string;
  readonly hostname: string;
  readonly ip: string;
  readonly helo: string;
  /** The client is in `trustedNetworks`. */
  readonly trusted?: boolean;
  readonly sender: string;
  readonly recipients: readonly string[];
  readonly user?: string;
  /** mda only: whose `deliver` hooks run. */
  readonly delivery?: {
    readonly user: string;
    readonly detail: string;
    readonly addresses: readonly string[];
  };
  readonly id: string;
  /** Epoch milliseconds. */
  readonly now: number;
}

export interface FilterResult {
  readonly verdict: Verdict;
  /** The stage that ended the walk; absent when all ran. */
  readonly endedAt?: HookName;
  readonly envelope: Envelope;
  /** What is to be done to the message, all stages together. */
  readonly edits: readonly Edit[];
  readonly score: number;
  /** What the rules of `delivery` ask for; absent: nothing, so that the message is kept. */
  readonly actions?: readonly Action[];
  /** Verdicts that hold for single recipients, by address. */
  readonly recipients: Readonly<Record<string, Verdict>>;
  readonly trace: readonly TraceEntry[];
}

export async function filterMessage(
  facts: FilterFacts,
  source: MessageSource,
  pipelines: Pipelines,
): Promise<FilterResult> {
  const walk = new Walk(facts, pipelines);
  try {
    return await walk.run(source);
  } finally {
    pipelines.forget(facts.id);
  }
}

const proceed: Verdict = { action: 'continue' };

class Walk {
  readonly #facts: FilterFacts;
  readonly #pipelines: Pipelines;
  readonly #connection: Connection;
  readonly #session: Session;
  #envelope: Envelope;
  #state: PipelineState = emptyPipelineState;
  #recipients: Record<string, Verdict> = {};
  #actions: readonly Action[] | undefined;
  readonly #trace: TraceEntry[] = [];

  constructor(facts: FilterFacts, pipelines: Pipelines) {
    this.#facts = facts;
    this.#pipelines = pipelines;
    this.#connection = connectionOf(facts);
    this.#session = {
      helo: facts.helo,
      esmtp: true,
      ...(facts.user === undefined ? {} : { user: facts.user, authMethod: 'PLAIN' }),
    };
    this.#envelope = {
      sender: facts.sender,
      recipients: [],
      body: '8bitmime',
      smtputf8: /[^\x00-\x7f]/.test(facts.sender + facts.recipients.join('')),
      requireTls: false,
    };
  }

  async run(source: MessageSource): Promise<FilterResult> {
    const { door, user, recipients } = this.#facts;
    const local = door === 'pipe' || door === 'mda';
    const before: HookName[] = local ? [] : ['connect', 'helo', ...(user ? (['auth'] as const) : [])];
    for (const stage of [...before, 'mailFrom'] as const) {
      const verdict = await this.#raise(stage);
      if (ends(verdict)) return this.#result(verdict, stage);
    }
    for (const [index, address] of recipients.entries()) {
      const verdict = await this.#admit({ id: `r${index + 1}`, address, original: address, notify: [] });
      if (ends(verdict)) return this.#result(verdict, 'rcptTo');
    }
    if (!local) this.#stamp();
    for (const stage of ['data', 'headers', 'message'] as const) {
      if (stage === 'data' && local) continue;
      const verdict = await this.#raise(stage, stage === 'data' ? {} : { message: source });
      if (ends(verdict) || (stage === 'message' && verdict.action !== 'continue')) {
        return this.#result(verdict, stage);
      }
    }
    return this.#deliver(source);
  }

  /** The rules of one recipient, who is all that this message is for. */
  async #deliver(source: MessageSource): Promise<FilterResult> {
    const { delivery } = this.#facts;
    const [recipient] = this.#envelope.recipients;
    if (delivery === undefined || recipient === undefined) return this.#result(proceed);
    const deliveries = [{ recipient, ...delivery }];
    const outcome = await this.#ask('deliver', { message: source, deliveries });
    const own = outcome?.recipients[recipient.id];
    this.#actions = own?.actions;
    const verdict = own?.verdict ?? outcome?.verdict ?? proceed;
    return verdict.action === 'continue' ? this.#result(verdict) : this.#result(verdict, 'deliver');
  }

  async #admit(recipient: Recipient): Promise<Verdict> {
    const outcome = await this.#ask('rcptTo', { recipient, route: 'mailbox' });
    if (outcome === undefined || !ends(outcome.verdict)) {
      const added = (outcome?.addedRecipients ?? []).map((address, index) => ({
        ...recipient,
        id: `${recipient.id}.${index + 1}`,
        address,
      }));
      const all = [...this.#envelope.recipients, outcome?.recipient ?? recipient, ...added];
      this.#envelope = { ...this.#envelope, recipients: all };
    }
    return outcome?.verdict ?? proceed;
  }

  async #raise(stage: HookName, more: Partial<PipelineRequest> = {}): Promise<Verdict> {
    const outcome = await this.#ask(stage, more);
    for (const [id, { verdict }] of Object.entries(outcome?.recipients ?? {})) {
      const recipient = this.#envelope.recipients.find((each) => each.id === id);
      if (verdict !== undefined && recipient !== undefined) this.#recipients[recipient.address] = verdict;
    }
    return outcome?.verdict ?? proceed;
  }

  async #ask(stage: HookName, more: Partial<PipelineRequest>): Promise<PipelineOutcome | undefined> {
    const { pipeline, id } = this.#facts;
    if (!this.#pipelines.has(pipeline, stage)) return undefined;
    const outcome = await this.#pipelines.run({
      pipeline,
      stages: [stage],
      id,
      connection: this.#connection,
      session: this.#session,
      envelope: this.#envelope,
      state: this.#state,
      ...more,
    });
    this.#state = outcome.state;
    if (outcome.envelope !== undefined) this.#envelope = outcome.envelope;
    this.#trace.push(...outcome.trace);
    return outcome;
  }

  /** A server's own Received, which some plugins edit. */
  #stamp(): void {
    const { hostname, ip, helo, user, id, now } = this.#facts;
    const value = formatReceived({
      helo,
      ip,
      remoteName: '',
      hostname,
      lmtp: false,
      esmtp: true,
      smtputf8: this.#envelope.smtputf8,
      authenticated: user !== undefined,
      id,
      recipients: this.#envelope.recipients.map(({ original }) => original),
      date: now,
    });
    this.#edit({ type: 'insertHeader', index: 0, name: 'Received', value });
  }

  #edit(edit: Edit): void {
    this.#state = { ...this.#state, edits: [...this.#state.edits, edit] };
  }

  #result(verdict: Verdict, endedAt?: HookName): FilterResult {
    if (this.#state.auth.length > 0) {
      const value = formatAuthenticationResults(this.#facts.hostname, this.#state.auth);
      this.#edit({ type: 'insertHeader', index: 0, name: 'Authentication-Results', value });
    }
    const { edits, score } = this.#state;
    return {
      verdict,
      ...(endedAt === undefined ? {} : { endedAt }),
      envelope: this.#envelope,
      edits,
      score,
      ...(this.#actions === undefined ? {} : { actions: this.#actions }),
      recipients: this.#recipients,
      trace: this.#trace,
    };
  }
}

function connectionOf({ door, ip, id, now, trusted = false }: FilterFacts): Connection {
  return {
    id,
    door,
    listener: 'filter',
    localIp: '',
    localPort: 0,
    remoteIp: ip,
    remotePort: 0,
    remoteName: '',
    trusted,
    openedAt: now,
  };
}

function ends({ action }: Verdict): boolean {
  return action === 'reject' || action === 'tempfail' || action === 'discard';
}
