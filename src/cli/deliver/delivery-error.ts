/** Why a message was not delivered, as an MTA hears it: an exit code of sysexits.h and one line with a status of RFC 3463. */

/** An MTA sends back mail for every code but EX_TEMPFAIL, so the others are for what will not change by waiting. */
export const deliveryCodes = {
  ok: 0,
  usage: 64,
  noUser: 67,
  unavailable: 69,
  tempFail: 75,
  noPermission: 77,
} as const;

export class DeliveryError extends Error {
  readonly exitCode: number;
  /** RFC 3463; Postfix's pipe(8) and local(8) take it from the beginning of the line. */
  readonly status: string | undefined;

  constructor(exitCode: number, message: string, status?: string) {
    super(message);
    this.name = 'DeliveryError';
    this.exitCode = exitCode;
    this.status = status;
  }
}

/** Everything that is not a decision is in doubt: the mail stays where it is. */
export function asDeliveryError(error: unknown): DeliveryError {
  if (error instanceof DeliveryError) return error;
  const words = error instanceof Error ? error.message : String(error);
  return new DeliveryError(deliveryCodes.tempFail, words, '4.3.0');
}

/** Says what went wrong on standard error, in one line that begins with its status; answers the exit code. */
export function reportFailure(error: unknown): number {
  const { exitCode, status, message } = asDeliveryError(error);
  const text = message.replace(/\s*\n\s*/g, '; ');
  process.stderr.write(`${status === undefined ? 'mailfilter deliver: ' : `${status} `}${text}\n`);
  return exitCode;
}
