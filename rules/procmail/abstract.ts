/** The lines that LOGABSTRACT leaves of a delivered mail, as mailstat(1) reads them. */
import { fromLine, type Mail, subjectLine } from './mail.ts';

/** Columns up to the size, a tab counting as 8. */
const folderColumns = 72;
const sizeDigits = 7;
/** Characters of a Subject that are shown. */
export const subjectMax = 78;

/** @param length octets that were stored */
export function logAbstract(mail: Mail, folder: string, length: number): string {
  const line = fromLine(mail) ?? '';
  const from = line === '' || line.endsWith('\n') ? line : `${line}\n`;
  const subject = subjectLine(mail);
  return `${from}${subject === undefined ? '' : ` ${subject.slice(0, subjectMax)}\n`}${folderLine(folder, length)}`;
}

/** The line of the folder and the size: formail(1) -l writes it too. */
export function folderLine(folder: string, length: number): string {
  const name = `  Folder: ${folder.slice(0, 61)}`;
  let columns = name.length;
  let tabs = '';
  do {
    tabs += '\t';
    columns = columns - (columns % 8) + 8;
  } while (columns < folderColumns);
  return `${name}${tabs}${String(length).padStart(sizeDigits)}\n`;
}
