/** The command line of the MDA: short options as /bin/mail -d and procmail have them. */
import { parseArgs } from 'node:util';
import { DeliveryError, deliveryCodes } from './delivery-error.ts';

export interface DeliverArguments {
  /** Config whose pipeline the message goes through; none: it is stored as it is. */
  readonly config?: string;
  readonly pipeline?: string;
  /** A system user, or the address of a user of the server. */
  readonly user?: string;
  /** What stands behind the separator in the address: `user+detail`. */
  readonly detail?: string;
  /** Reverse-path; `''` is the null one. */
  readonly sender?: string;
  readonly help: boolean;
}

/** procmail's own, which deliver does not have: better refused than taken for something else. */
const procmailOnly = new Set(['m', 't', 'Y', 'p', 'o', 'v', 'r', 'z']);

/** @throws DeliveryError EX_USAGE that names the option */
export function readArguments(argv: readonly string[]): DeliverArguments {
  const foreign = argv
    .map((word) => /^-([a-zA-Z])/.exec(word)?.[1])
    .find((letter) => procmailOnly.has(letter ?? ''));
  if (foreign !== undefined) throw usage(`-${foreign} is an option of procmail, which deliver does not have`);
  try {
    const { values, positionals } = parseArgs({
      args: [...argv],
      allowPositionals: true,
      options: {
        config: { type: 'string', short: 'c' },
        pipeline: { type: 'string' },
        user: { type: 'string', short: 'd' },
        detail: { type: 'string', short: 'a' },
        sender: { type: 'string', short: 'f' },
        help: { type: 'boolean', short: 'h', default: false },
      },
    });
    if (positionals.length > 0) throw usage(`one recipient at a time: "${positionals[0]}" is one too many`);
    return { ...values, sender: values.sender === undefined ? undefined : bare(values.sender) };
  } catch (error) {
    if (error instanceof DeliveryError) throw error;
    throw usage((error as Error).message.split('. ')[0]!);
  }
}

export const help = `Usage: mailfilter deliver [-c FILE] [-d USER] [-a EXT] [-f SENDER] < message

Delivers one message: the MDA behind Postfix, Exim, Sendmail and OpenSMTPD, or by hand.

  -c, --config FILE      run the pipeline of this config (default: $MAILFILTER_CONFIG; none: no pipeline)
      --pipeline NAME    which one (default: "inbound", or the only one)
  -d, --user USER        a system user (default: who calls), or the address of a user of the running server
  -a, --detail EXT       the part of the address behind the separator, as in user+EXT
  -f, --sender SENDER    envelope sender (default: $SENDER, else the From_ line)

The message goes to the mailbox that the config names with {home}, else to $MAIL (a Maildir if it ends
with / or is a folder), else to ~/Maildir if there is one, else to /var/mail/USER.

Exit codes: 0 delivered, 64 usage, 67 no such user, 69 refused (message too large), 75 try again later
(also where something is set up wrongly), 77 refused by the pipeline.
`;

function usage(message: string): DeliveryError {
  return new DeliveryError(deliveryCodes.usage, message);
}

function bare(sender: string): string {
  return sender.replace(/^<(.*)>$/, '$1');
}
