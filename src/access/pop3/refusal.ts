/** A command of POP3 that cannot be done: thrown anywhere below it, answered with -ERR. RFC 1939 section 3. */
export class Pop3Refusal extends Error {
  /** RFC 2449 section 8, RFC 3206. */
  readonly code: 'AUTH' | 'IN-USE' | 'SYS/PERM' | 'SYS/TEMP' | 'UTF8' | undefined;

  /** @param text for the client */
  constructor(text: string, code?: Pop3Refusal['code']) {
    super(text);
    this.name = 'Pop3Refusal';
    this.code = code;
  }
}
