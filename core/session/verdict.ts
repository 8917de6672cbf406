/** What a hook decides about a connection, a transaction or a recipient. */

export type Verdict =
  /** Go on with the next plugin. */
  | { readonly action: 'continue' }
  /** Trusted: later verify and score plugins are skipped; never mutate, sign, deliver, routes or relay control. */
  | { readonly action: 'accept' }
  /** Refused for good. */
  | { readonly action: 'reject'; readonly code: number; readonly enhanced: string; readonly text: string }
  /** Refused for now. */
  | { readonly action: 'tempfail'; readonly code: number; readonly enhanced: string; readonly text: string }
  /** Answered 250 and dropped; always traced. */
  | { readonly action: 'discard'; readonly reason: string }
  /** Answered 250 and held for an operator. */
  | { readonly action: 'quarantine'; readonly reason: string };

export type VerdictAction = Verdict['action'];
