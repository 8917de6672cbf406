/** What a file is by its octets, whatever its name says: the first ones, and marks of archives that something stands before. */

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
  const kind = signatures.find(([, at, text]) => beginning.startsWith(text, at))?.[0];
  return kind ?? (hasTarSum(octets) ? 'tar' : 'unknown');
}

/** The header of a tar from before ustar has nothing but a sum of its octets, its own eight being blanks. POSIX.1-2024, pax. */
function hasTarSum(octets: Buffer): boolean {
  if (octets.length < magicOctets || octets[0] === 0) return false;
  const written = /^ *([0-7]{1,7})[ \0]/.exec(octets.toString('latin1', 148, 156))?.[1];
  if (written === undefined) return false;
  const header = Buffer.from(octets.subarray(0, magicOctets)).fill(' ', 148, 156);
  return header.reduce((sum, octet) => sum + octet, 0) === Number.parseInt(written, 8);
}

/** Programs for archives open them behind other octets too: those of RAR and 7z within the first MiB, as programs that unpack themselves are. */
const prefixOctetsMax = 1024 * 1024;
/** A comment of 64 KiB may follow a zip file's last record. APPNOTE section 4.3.16. */
const zipTailOctets = 22 + 65_535;
const inside: readonly [kind: FileKind, octets: string][] = [
  ['rar', 'Rar!\x1a\x07'],
  ['7z', '7z\xbc\xaf\x27\x1c'],
];

/** @returns the kind of a whole file, and where its archive begins; of a zip the end alone tells that */
export function findKind(octets: Buffer): { readonly kind: FileKind; readonly start: number } {
  const kind = kindOf(octets);
  if (kind !== 'unknown') return { kind, start: 0 };
  const beginning = octets.subarray(0, prefixOctetsMax);
  for (const [each, mark] of inside) {
    const start = beginning.indexOf(mark, 0, 'latin1');
    if (start >= 0) return { kind: each, start };
  }
  const isZip = octets.subarray(-zipTailOctets).includes('PK\x05\x06', 0, 'latin1');
  return { kind: isZip ? 'zip' : 'unknown', start: 0 };
}
