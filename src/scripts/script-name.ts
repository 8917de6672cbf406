/** Names of scripts. RFC 5804 section 1.6, within what a file name can hold. */
import { OperationalError } from '../../core/base/errors.ts';
import { scriptLimits } from '../../core/base/limits/rules.ts';

/** The name in the form it is stored and compared in (NFC). @throws OperationalError `script-name` with words for the client */
export function readScriptName(text: string): string {
  const name = text.normalize('NFC');
  if (name === '') throw unfit('a script needs a name');
  if (Buffer.byteLength(name) > scriptLimits.nameBytesMax) {
    throw unfit(`a script name has at most ${scriptLimits.nameBytesMax} octets`);
  }
  // Controls and separators of RFC 5804 section 1.6, and what would leave the folder.
  if (/[\p{Cc}\u2028\u2029/]/u.test(name)) throw unfit('a script name has no control characters and no "/"');
  if (name.startsWith('.')) throw unfit('a script name does not begin with "."');
  return name;
}

function unfit(clientText: string): OperationalError {
  return new OperationalError('script-name', clientText, { temporary: false, clientText });
}
