/** All that scripts may use: the base language, and the extensions by name. */
import { baseActions } from './base/actions.ts';
import { address } from './base/address.ts';
import { controlCommands } from './base/control.ts';
import { exists } from './base/exists.ts';
import { header } from './base/header.ts';
import { logicTests } from './base/logic.ts';
import { size } from './base/size.ts';

import { body } from './extensions/body.ts';
import { comparatorExtensions } from './extensions/comparators.ts';
import { convert } from './extensions/convert.ts';
import { copy } from './extensions/copy.ts';
import { date } from './extensions/date.ts';
import { dovecotConfig } from './extensions/dovecot-config.ts';
import { dovecotDebug } from './extensions/dovecot-debug.ts';
import { dovecotDuplicate } from './extensions/dovecot-duplicate.ts';
import { dovecotEnvironment } from './extensions/dovecot-environment.ts';
import { dovecotExecute } from './extensions/dovecot-execute.ts';
import { dovecotFilter } from './extensions/dovecot-filter.ts';
import { dovecotPipe } from './extensions/dovecot-pipe.ts';
import { dovecotReport } from './extensions/dovecot-report.ts';
import { duplicate } from './extensions/duplicate.ts';
import { editheader } from './extensions/editheader.ts';
import { enclose } from './extensions/enclose.ts';
import { encodedCharacter } from './extensions/encoded-character.ts';
import { enotify } from './extensions/enotify.ts';
import { envelope } from './extensions/envelope.ts';
import { envelopeDeliverby } from './extensions/envelope-deliverby.ts';
import { envelopeDsn } from './extensions/envelope-dsn.ts';
import { environment } from './extensions/environment.ts';
import { extlists } from './extensions/extlists.ts';
import { extracttext } from './extensions/extracttext.ts';
import { fcc } from './extensions/fcc.ts';
import { fileinto } from './extensions/fileinto.ts';
import { foreverypart } from './extensions/foreverypart.ts';
import { ihave } from './extensions/ihave.ts';
import { imap4flags } from './extensions/imap4flags.ts';
import { imapflags } from './extensions/imapflags.ts';
import { imapsieve } from './extensions/imapsieve.ts';
import { include } from './extensions/include.ts';
import { index } from './extensions/index.ts';
import { mailbox } from './extensions/mailbox.ts';
import { mailboxid } from './extensions/mailboxid.ts';
import { mboxmetadata, servermetadata } from './extensions/metadata.ts';
import { mime } from './extensions/mime.ts';
import { notify } from './extensions/notify.ts';
import { redirectDeliverby } from './extensions/redirect-deliverby.ts';
import { redirectDsn } from './extensions/redirect-dsn.ts';
import { regex } from './extensions/regex.ts';
import { ereject, reject } from './extensions/reject.ts';
import { relational } from './extensions/relational.ts';
import { replace } from './extensions/replace.ts';
import { spamtest, spamtestplus, virustest } from './extensions/spamtest.ts';
import { specialUse } from './extensions/special-use.ts';
import { subaddress } from './extensions/subaddress.ts';
import { vacation } from './extensions/vacation.ts';
import { vacationSeconds } from './extensions/vacation-seconds.ts';
import { variables } from './extensions/variables.ts';
import type { Extension, Spec } from './spec.ts';
import type { Available } from './vocabulary.ts';

export const baseSpecs: readonly Spec[] = [
  ...controlCommands,
  ...baseActions,
  ...logicTests,
  address,
  exists,
  header,
  size,
];

const extensions: readonly Extension[] = [
  ...comparatorExtensions,
  body,
  convert,
  copy,
  date,
  dovecotConfig,
  dovecotDebug,
  dovecotDuplicate,
  dovecotEnvironment,
  dovecotExecute,
  dovecotFilter,
  dovecotPipe,
  dovecotReport,
  duplicate,
  editheader,
  enclose,
  encodedCharacter,
  enotify,
  envelope,
  envelopeDeliverby,
  envelopeDsn,
  environment,
  ereject,
  extlists,
  extracttext,
  fcc,
  fileinto,
  foreverypart,
  ihave,
  imap4flags,
  imapflags,
  imapsieve,
  include,
  index,
  mailbox,
  mailboxid,
  mboxmetadata,
  mime,
  notify,
  redirectDeliverby,
  redirectDsn,
  regex,
  reject,
  relational,
  replace,
  servermetadata,
  spamtest,
  spamtestplus,
  specialUse,
  subaddress,
  vacation,
  vacationSeconds,
  variables,
  virustest,
];

/** Those that let scripts run programs: a server has them only where its config names the programs. */
export const programExtensions: readonly string[] = [dovecotExecute, dovecotFilter, dovecotPipe].map(
  ({ name }) => name,
);

/** Names of all extensions but those that newer ones replace, as ManageSieve announces them. RFC 5804 section 1.7. */
export const sieveExtensions: readonly string[] = extensions
  .filter(({ replacedBy }) => replacedBy === undefined)
  .map(({ name }) => name)
  .sort();

/** @param names what scripts may require; everything when absent */
export function availableExtensions(names?: readonly string[], more: readonly Extension[] = []): Available {
  const isChosen = ({ name, replacedBy }: Extension) =>
    names === undefined || names.includes(name) || (replacedBy !== undefined && names.includes(replacedBy));
  const chosen = extensions.filter(isChosen);
  return new Map([...chosen, ...more].map((extension) => [extension.name, extension]));
}
