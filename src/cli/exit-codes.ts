/** Exit codes of the command line: sysexits.h where it has one. */

import { errnoOf, OperationalError } from '../../core/base/errors.ts';
import { ConfigError } from '../../core/config/findings.ts';

export const exitCodes = {
  ok: 0,
  /** A check that found something wrong, a search that found nothing. */
  negative: 1,
  usage: 64,
  dataError: 65,
  noInput: 66,
  noUser: 67,
  unavailable: 69,
  software: 70,
  cannotCreate: 73,
  ioError: 74,
  tempFail: 75,
  noPermission: 77,
  config: 78,
} as const;
export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes];

/** A command cannot do what it was asked: what happened and where in the message, what to do in `advice`. */
export class CommandError extends Error {
  readonly exitCode: ExitCode;
  readonly advice: string;

  constructor(exitCode: ExitCode, message: string, advice = '') {
    super(message);
    this.name = 'CommandError';
    this.exitCode = exitCode;
    this.advice = advice;
  }
}

/** Operational errors that sysexits.h has a code for. */
const operationalExitCodes: Readonly<Record<string, ExitCode>> = {
  'config-unreadable': exitCodes.config,
  'user-exists': exitCodes.cannotCreate,
  'user-unknown': exitCodes.noUser,
  'users-file-missing': exitCodes.noInput,
  'users-file-invalid': exitCodes.dataError,
  'password-unfit': exitCodes.dataError,
  // Whoever called sendmail keeps the mail and comes again.
  maildrop: exitCodes.tempFail,
};

/** The exit code that an error means. */
export function exitCodeOf(error: unknown): number {
  if (error instanceof CommandError) return error.exitCode;
  if (error instanceof ConfigError) return exitCodes.config;
  if (error instanceof OperationalError) {
    const known = operationalExitCodes[error.code];
    if (known !== undefined) return known;
    if (isDenied(error.cause)) return exitCodes.noPermission;
    return error.temporary ? exitCodes.tempFail : exitCodes.unavailable;
  }
  const { exitCode, code } = error as { exitCode?: unknown; code?: unknown };
  if (typeof exitCode === 'number') return exitCode;
  if (isDenied(error)) return exitCodes.noPermission;
  return typeof code === 'string' && /^E[A-Z]+$/.test(code) ? exitCodes.ioError : exitCodes.software;
}

function isDenied(error: unknown): boolean {
  return ['EACCES', 'EPERM'].includes(errnoOf(error) ?? '');
}
