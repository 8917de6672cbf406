/** What rules are told of a message: plain values, gathered by whoever runs them. */
import type { Json } from '../../core/base/json.ts';
import { type Field, HeaderFields } from './header-fields.ts';

export interface RuleFacts {
  /** Transaction id. */
  readonly id: string;
  /** Reverse-path, '' for the null one. */
  readonly sender: string;
  readonly recipients: readonly string[];
  /** '' before HELO, as are `ip` for a unix socket and `user` for a stranger. */
  readonly helo: string;
  readonly ip: string;
  readonly user: string;
  readonly trusted: boolean;
  readonly results: Readonly<Record<string, Json>>;
  /** Rules see, and add to, what the rules before them changed. */
  readonly fields: HeaderFields;
  /** Only where some rule asks about it. */
  readonly content?: RuleContent;
}

/** Decoded text, line ends \n, as much of it as the caller wants looked at. */
export interface RuleContent {
  readonly plain: string;
  /** The text that a reader of the HTML would see. */
  readonly html: string;
  readonly attachments: readonly {
    /** File name, '' for none. */
    readonly name: string;
    /** Media type in lower case. */
    readonly type: string;
  }[];
}

/** What a message hook is given, as far as rules look at it. */
export interface FactSource {
  readonly id: string;
  readonly envelope: {
    readonly sender: string;
    readonly recipients: readonly { readonly address: string }[];
  };
  readonly session: { readonly helo: string; readonly user?: string };
  readonly connection: { readonly remoteIp: string; readonly trusted: boolean };
  readonly results: Readonly<Record<string, Json>>;
  readonly message: { readonly headers: Iterable<Field> };
}

/** The facts of one message, for one run: rules write into its fields. */
export function gatherFacts(source: FactSource, content?: RuleContent): RuleFacts {
  const { id, envelope, session, connection, results, message } = source;
  return {
    id,
    sender: envelope.sender,
    recipients: envelope.recipients.map(({ address }) => address),
    helo: session.helo,
    ip: connection.remoteIp,
    user: session.user ?? '',
    trusted: connection.trusted,
    results,
    fields: new HeaderFields(message.headers),
    content,
  };
}
