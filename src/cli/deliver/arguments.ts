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

/** Any of these, or a word that is no option, and the whole line is one for procmail. */
const procmailOnly = /^-[adfr]*[mtYpovz]/;
/** Options that the next word belongs to. */
const withValue = /^(?:-[acdf]|--(?:config|pipeline|user|detail|sender))$/;

/** A line as procmail(1) takes it: an rcfile, `VAR=value`, or one of the options that only procmail has. */
export function isForProcmail(argv: readonly string[]): boolean {
  for (let at = 0; at < argv.length; at++) {
    const word = argv[at]!;
    if (word === '--') return at + 1 < argv.length;
    if (withValue.test(word)) at += 1;
    else if (!word.startsWith('-') || procmailOnly.test(word)) return true;
  }
  return false;
}

/** @throws DeliveryError EX_USAGE that names the option */
export function readArguments(argv: readonly string[]): DeliverArguments {
  try {
    const { values } = parseArgs({
      args: [...argv],
      options: {
        config: { type: 'string', short: 'c' },
        pipeline: { type: 'string' },
        user: { type: 'string', short: 'd' },
        detail: { type: 'string', short: 'a' },
        sender: { type: 'string', short: 'f' },
        help: { type: 'boolean', short: 'h', default: false },
      },
    });
    return { ...values, sender: values.sender === undefined ? undefined : bare(values.sender) };
  } catch (error) {
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

With ~/.procmailrc, what would go to the inbox goes through it as through procmail; and procmail's own
command line is taken as it is:

  mailfilter deliver -m RCFILE [ARG ...] < message
  mailfilter deliver [-toYpv] [-a ARG] [-f FROM] [VAR=value ...] [RCFILE ...] [-d USER ...] < message

Exit codes: 0 delivered, 64 usage, 67 no such user, 69 refused (message too large), 75 try again later
(also where something is set up wrongly), 77 refused by the pipeline.
`;

function usage(message: string): DeliveryError {
  return new DeliveryError(deliveryCodes.usage, message);
}

function bare(sender: string): string {
  return sender.replace(/^<(.*)>$/, '$1');
}
