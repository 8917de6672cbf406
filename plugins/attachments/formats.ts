/** Archives and documents that are zip files: what tells one from the other. ECMA-376 part 2; ODF 1.3 part 2. */
import type { Listing } from './listing.ts';

const archives = new Set(
  '7z ace arj bz2 cab gz jar lha lz lzh lzma rar tar taz tbz tbz2 tgz txz tzst xz z zip zipx zst'.split(' '),
);
const documents = new Set(
  `docm docx dotm dotx dwfx epub odb odc odf odg odm odp ods odt oth otg otp ots ott oxps potm potx ppam ppsm ppsx pptm pptx
  sldm sldx sxc sxd sxi sxw thmx vsdm vsdx vssm vssx vstm vstx xlam xlsb xlsm xlsx xltm xltx xps`.split(
    /\s+/,
  ),
);

/** True where a name promises an archive: one that is not known as such here may be opened by another program. */
export function isArchiveExtension(extension: string): boolean {
  return archives.has(extension);
}

/** @param octets of a zip file */
export function isDocument(octets: Buffer, extension: string, { entries }: Listing): boolean {
  const marked = entries.some(({ name }) => name === '[Content_Types].xml' || name === 'mimetype');
  return marked && (documents.has(extension) || (hasTypeFirst(octets) && !archives.has(extension)));
}

/** ODF 1.3 part 2 section 3.3: the type stands first and unpacked, so that it is found at a fixed place. */
function hasTypeFirst(octets: Buffer): boolean {
  const method = octets.toString('latin1', 8, 10);
  return method === '\0\0' && octets.toString('latin1', 30, 50) === 'mimetypeapplication/';
}
