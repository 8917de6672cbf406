/** How a filter ends before its last statement. */

/** Ends the filter with an exit code. */
export class FilterEnd extends Error {
  readonly exitCode: number;

  constructor(exitCode: number) {
    super(`exit ${exitCode}`);
    this.exitCode = exitCode;
  }
}

/** What `exception` catches: otherwise the mail waits for another attempt. */
export class FilterFailure extends Error {}

/** What nothing catches. */
export class FilterLimit extends Error {}
