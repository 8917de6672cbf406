/** Limits of message authentication: SPF, DKIM, DMARC, ARC. */

/** DKIM and ARC signatures. */
export const dkimLimits = {
  /** Signatures of one message that are looked at; each costs a question to DNS and one verification. */
  signaturesMax: 10,
  /** Read public keys that a thread remembers; about 2 KB each. */
  publicKeysMax: 1000,
  /** Clocks of others are wrong by this much; RFC 6376 section 3.5 leaves it open. */
  clockSkewSeconds: 300,
} as const;

/** SPF: what one check may ask. RFC 7208 section 4.6.4. */
export const spfLimits = {
  /** Terms that ask DNS: a, mx, ptr, exists, include, redirect. */
  lookupsMax: 10,
  /** Answers without a record. */
  voidLookupsMax: 2,
  /** Hosts of one mx term, names of one ptr term or %{p}. */
  namesMax: 10,
  /** A macro may not make a name of DNS longer than that; what is longer loses labels from the left. */
  nameOctetsMax: 253,
} as const;

/** DMARC. */
export const dmarcLimits = {
  /** Names asked for a policy in one walk up the tree. RFC 9989 section 4.10. */
  treeWalkMax: 8,
  /** Domains in From that are judged, each with a walk of its own. */
  authorDomainsMax: 5,
  /** Addresses of rua= that are kept of a record. */
  reportAddressesMax: 10,
  /** Rows of one domain's aggregate report of one day; further ones are left out and counted in the log. */
  reportRowsMax: 5000,
  /** How often reports that are due are looked for; they may be a day late. */
  reportLookMs: 3_600_000,
  /** How long what a report needs is kept: the day itself and time to send it. */
  reportKeptSeconds: 4 * 24 * 3600,
} as const;

/** ARC sets of one message. RFC 8617 section 5.2 says 50. */
export const arcSetsMax = 50;
