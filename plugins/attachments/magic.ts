/** What a file is by its first octets, whatever its name says. */

export type FileKind =
  | 'executable'
  | 'zip'
  | 'gzip'
  | 'tar'
  | '7z'
  | 'rar'
  | 'ole'
  | 'other-archive'
  | 'unknown';

/** Octets of a file's beginning that are needed: a tar header is one block. */
export const magicOctets = 512;

const signatures: readonly [kind: FileKind, at: number, octets: string][] = [
  ['executable', 0, '\x7fELF'],
  ['executable', 0, '\xfe\xed\xfa\xce'],
  ['executable', 0, '\xfe\xed\xfa\xcf'],
  ['executable', 0, '\xce\xfa\xed\xfe'],
  ['executable', 0, '\xcf\xfa\xed\xfe'],
  // Mach-O for several machines, and Java classes.
  ['executable', 0, '\xca\xfe\xba\xbe'],
  // A Windows shortcut: its class id follows.
  ['executable', 0, 'L\0\0\0\x01\x14\x02\0'],
  // Compiled help.
  ['executable', 0, 'ITSF'],
  ['zip', 0, 'PK\x03\x04'],
  ['zip', 0, 'PK\x05\x06'],
  ['zip', 0, 'PK\x07\x08PK\x03\x04'],
  ['gzip', 0, '\x1f\x8b'],
  ['7z', 0, '7z\xbc\xaf\x27\x1c'],
  ['rar', 0, 'Rar!\x1a\x07'],
  ['ole', 0, '\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1'],
  ['tar', 257, 'ustar'],
  ['other-archive', 0, 'BZh'],
  ['other-archive', 0, '\xfd7zXZ\0'],
  ['other-archive', 0, '\x28\xb5\x2f\xfd'],
  ['other-archive', 0, 'MSCF'],
  ['other-archive', 0, '\x60\xea'],
  ['other-archive', 2, '-lh'],
  ['other-archive', 7, '**ACE**'],
  // TNEF: Outlook's own wrapping.
  ['other-archive', 0, '\x78\x9f\x3e\x22'],
];

export function kindOf(octets: Buffer): FileKind {
  const beginning = octets.toString('latin1', 0, magicOctets);
  // DOS and Windows: two letters alone would be a text too; the header behind them has zeros.
  if (/^(?:MZ|ZM)[\s\S]{0,62}\0/.test(beginning)) return 'executable';
  return signatures.find(([, at, text]) => beginning.startsWith(text, at))?.[0] ?? 'unknown';
}
