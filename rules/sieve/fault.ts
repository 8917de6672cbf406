/** What ends a run early: an error of the script, or a question whose answer has to be waited for. */

/** A runtime error; the message is kept. RFC 5228 section 2.10.6. */
export class Fault extends Error {}

/** Thrown by Run.ask: the run begins anew when the answer is there. */
export class Suspended {
  readonly key: string;
  readonly answer: Promise<unknown>;

  constructor(key: string, answer: Promise<unknown>) {
    this.key = key;
    this.answer = answer;
  }
}
