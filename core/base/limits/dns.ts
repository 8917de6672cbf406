/** Limits of names in DNS. */

/** Names in DNS. */
export const dnsLimits = {
  /** Questions on the wire at the same time; past it, asking fails at once and temporarily. */
  questionsAtOnce: 1000,
  /** Answers kept; some hundred octets each. */
  cacheEntriesMax: 10_000,
  /** Held where the answer's own time is not known, as node:dns tells that of addresses alone. */
  presentSeconds: 60,
  /** RFC 2308 section 5 goes by the SOA record, which is not seen: short, as new names appear. */
  absentSeconds: 30,
  heldSecondsMax: 3600,
  /** Long enough that one message does not ask a dead server ten times; RFC 2308 section 7 allows five minutes. */
  failureSeconds: 2,
} as const;
