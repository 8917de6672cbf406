/** Mailbox patterns: `*` is anything, `%` anything within a level. RFC 9051 section 6.3.9. */

/** @returns a function of a folder's name; its time is bounded by the product of both lengths */
export function listPattern(pattern: string): (name: string) => boolean {
  // Several wildcards in a row are one.
  const parts = pattern.replace(/[*%]*\*[*%]*/g, '*').replace(/%+/g, '%');
  return (name) => matches(parts, /^inbox(?:\/|$)/i.test(name) ? `INBOX${name.slice(5)}` : name);
}

/** Positions of the pattern that the name's begin can have led to, one character at a time. */
function matches(pattern: string, name: string): boolean {
  let at = spread(pattern, new Set([0]));
  for (const character of name) {
    const next = new Set<number>();
    for (const position of at) {
      const wanted = pattern[position];
      if (wanted === '*' || (wanted === '%' && character !== '/')) next.add(position);
      else if (wanted === character || isInboxLetter(pattern, position, character)) next.add(position + 1);
    }
    at = spread(pattern, next);
    if (at.size === 0) return false;
  }
  return at.has(pattern.length);
}

/** A wildcard may stand for nothing. */
function spread(pattern: string, at: Set<number>): Set<number> {
  for (const position of at) if (pattern[position] === '*' || pattern[position] === '%') at.add(position + 1);
  return at;
}

/** INBOX is matched in any case. RFC 9051 section 5.1. */
function isInboxLetter(pattern: string, position: number, character: string): boolean {
  return position < 5 && pattern[position]?.toUpperCase() === character && /^inbox(?![^/*%])/i.test(pattern);
}
