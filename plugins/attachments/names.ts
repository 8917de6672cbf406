/** What the name of a file tells: its endings, whether it starts a program, and whether it is made to deceive. */

export interface NameFacts {
  /** Lower case, without the full stop; '' where there is none. */
  readonly extension: string;
  readonly executable: boolean;
  readonly disguised: boolean;
  readonly macros: boolean;
}

/** Files that run when they are opened, mount others, or lead elsewhere: those that Outlook and Gmail block. */
const executables = new Set(
  `ade adp apk app appcontent-ms application appref-ms appx appxbundle asp aspx bas bat cab chm cmd com command cpl
  csh desktop diagcab dll dmg ex ex_ exe fxp gadget grp hlp hpj hta htc img inf ins ipa iso isp its jar jnlp js jse ksh
  library-ms lnk mad maf mag mam maq mar mas mat mau mav maw mcf mda mdb mde mdt mdw mdz msc msh msh1 msh1xml msh2 msh2xml
  mshxml msi msix msixbundle msp mst nsh ops osd pcd pif pkg pl plg prf prg printerexport ps1 ps1xml ps2 ps2xml psc1 psc2
  psd1 psdm1 psm1 py pyc pyo pyw pyz pyzw reg scf scr sct search-ms settingcontent-ms shb shs sys theme tmp udl url vb vbe vbp
  vbs vhd vhdx vsmacros vsw vxd webpnp website wim ws wsb wsc wsf wsh xbap xll xnk`.split(/\s+/),
);
/** What a disguised name pretends to be. */
const harmless = new Set(
  'avi bmp csv doc docx gif htm html jpeg jpg mov mp3 mp4 odp ods odt pdf png pps ppt pptx rtf tif tiff txt wav webp xls xlsx xml zip'.split(
    ' ',
  ),
);
const withMacros = new Set('docm dotm potm ppam ppsm pptm sldm xlam xlsb xlsm xltm'.split(' '));

/** Characters that turn the direction of text round, so that `gpj.exe` is read as `exe.jpg`. Unicode TR 36 section 2. */
const turning = /[\u202a-\u202e\u2066-\u2069]/;
const invisible = /[\0-\x1f\x7f\u00ad\u061c\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff]/g;
/** Space in a name that pushes its ending out of sight. */
const longGap = /(?<!\s)\s{5,}\S/;

/** Its beginning and its end, before anything else is done with it: NFKC alone makes 18 characters of one. */
export function cutName(written: string): string {
  if (written.length <= writtenCharactersMax) return written;
  return written.slice(0, writtenCharactersMax / 2) + written.slice(-writtenCharactersMax / 2);
}

/** No file system takes longer paths. */
const writtenCharactersMax = 4096;

/** As Windows takes a name: it drops dots and spaces at the end, and so runs `a.exe. `. */
export function plainName(name: string): string {
  const visible = cutName(name).normalize('NFKC').replace(invisible, '').trim();
  return visible.slice(Math.max(0, visible.length - nameCharactersMax)).replace(/[. ]{1,255}$/, '');
}

const nameCharactersMax = 255;

export function judgeFileName(name: string): NameFacts {
  return judgeCut(cutName(name));
}

function judgeCut(written: string): NameFacts {
  const name = plainName(written).toLowerCase();
  const file = name.slice(name.search(/[^/\\]*$/));
  const endings = file
    .split('.')
    .slice(1)
    .map((each) => each.trim());
  const extension = endings.at(-1) ?? '';
  const before = endings.at(-2) ?? '';
  const executable = executables.has(extension);
  // NTFS: `a.exe::$DATA` and `a.txt:b.exe` name streams of a file.
  const stream = /:[^\\/]*$/.test(file);
  return {
    extension,
    executable: executable || executables.has(/\.([a-z0-9]+):/.exec(file)?.[1] ?? ''),
    disguised:
      turning.test(written) ||
      longGap.test(written) ||
      stream ||
      (executable && harmless.has(before)) ||
      (executable && /[. ]$/.test(written)),
    macros: withMacros.has(extension),
  };
}

/** True where a name promises a picture, a document or a text. */
export function pretendsHarmless(name: string): boolean {
  return harmless.has(judgeFileName(name).extension);
}
