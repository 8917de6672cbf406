/** What rules are told of a message: plain values, gathered by whoever runs them. */
import type { Json } from '../../core/base/json.ts';
import type { HeaderFields } from './header-fields.ts';

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
