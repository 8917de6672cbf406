/** The lines that LOGABSTRACT leaves of a delivered mail, as mailstat(1) reads them. */
import { fromLine, type Mail, subjectLine } from './mail.ts';

/** Columns up to the size, a tab counting as 8. */
const folderColumns = 72;
const sizeDigits = 7;

/** @param length octets that were stored */
export function logAbstract(mail: Mail, folder: string, length: number): string {
  const line = fromLine(mail) ?? '';
  const from = line === '' || line.endsWith('\n') ? line : `${line}\n`;
  const subject = subjectLine(mail);
  const name = `  Folder: ${folder.slice(0, 61)}`;
  let columns = name.length;
  let tabs = '';
  do {
    tabs += '\t';
    columns = columns - (columns % 8) + 8;
  } while (columns < folderColumns);
  return `${from}${subject === undefined ? '' : ` ${subject.slice(0, 78)}\n`}${name}${tabs}${String(length).padStart(sizeDigits)}\n`;
}
