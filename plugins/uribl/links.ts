/**
 * The hosts that a text or an HTML body leads to: links and what a reader would take for one, however they are written.
 * RFC 3986, RFC 6068, and the WHATWG URL Standard, which is what browsers go by. Linear time, any input.
 */
import { isIP } from 'node:net';
import { domainToASCII } from 'node:url';
import { hasPublicSuffix } from 'mailfilter/auth';
import { decodeEntities, htmlToText } from 'mailfilter/mail';

/** Some thousand links are a newsletter; what is beyond is looked at by no reader either. */
const linksMax = 5000;
/** Browsers follow longer ones; the host stands at the beginning. */
const linkCharactersMax = 2048;
/** An attribute of HTML that is longer holds data, not a link. */
const attributeCharactersMax = 8192;

/** How a host is told; what is clicked comes before what stands in passing. */
export type LinkKind = 'link' | 'address' | 'bare';

/** Gathers hosts: A-labels in lower case, or IP addresses, each once and as the first kind it was seen as. */
export class LinkHosts {
  readonly #kinds = new Map<string, LinkKind>();
  readonly #bareNames: boolean;
  #left = linksMax;

  /** @param bareNames names that stand in a text without being a link count too */
  constructor(bareNames: boolean) {
    this.#bareNames = bareNames;
  }

  /** Links first, then mail addresses, then bare names; in the order they were found. */
  get hosts(): string[] {
    const order: readonly LinkKind[] = ['link', 'address', 'bare'];
    return order.flatMap((kind) => [...this.#kinds].flatMap(([host, each]) => (each === kind ? [host] : [])));
  }

  /** There were more links than are looked at. */
  get cut(): boolean {
    return this.#left <= 0;
  }

  addText(text: string): void {
    const plain = undisguised(text);
    for (const [url] of plain.matchAll(schemed)) this.#addUrl(url);
    const rest = plain.replace(schemed, ' ');
    for (const [, domain] of rest.matchAll(mailAddress)) this.#addHost(domain!, 'address');
    if (!this.#bareNames) return;
    for (const [name] of rest.matchAll(bareName)) this.#addBare(name);
    for (const [name] of rest.matchAll(wideName)) this.#addBare(name);
  }

  addHtml(html: string, textCharactersMax: number): void {
    for (const value of attributeValues(html)) this.#addAttribute(value);
    this.addText(htmlToText(html, textCharactersMax));
    // Scripts, styles, comments for one program, and whatever no parser would take for an attribute.
    for (const [url] of decodeEntities(html).matchAll(schemed)) this.#addUrl(url);
  }

  #addAttribute(value: string): void {
    // Browsers drop tabs and line ends from links, wherever they stand. URL Standard section 4.4.
    const url = decodeEntities(value)
      .replace(/[\t\r\n]/g, '')
      .trim();
    const address = /^mailto:[^@?]{0,320}@([^?&,;\s]{1,255})/i.exec(url)?.[1];
    if (address !== undefined) this.#addHost(decoded(address), 'address');
    else if (/^(?:https?|ftp):/i.test(url)) this.#addUrl(url);
    // Without a scheme of its own a link has that of the page, and mail has none: what follows two slashes is a host.
    else if (/^[\\/]{2}/.test(url)) this.#addUrl(`http:${url}`);
  }

  #addUrl(written: string): void {
    if (this.#left-- <= 0) return;
    const url = written.replace(/^h(?:xx|\*\*)p/i, 'http').slice(0, linkCharactersMax);
    const scheme = url.slice(0, url.indexOf(':') + 1);
    const host = linkHostOf(url, scheme);
    if (host !== undefined) this.#add(host, 'link');
    // A redirector or a tracker that says where it leads: nobody has to be asked.
    const rest = decoded(url.slice(scheme.length + 2));
    for (const [inner] of rest.matchAll(schemed)) {
      const within = hostOf(inner.slice(0, linkCharactersMax));
      if (within !== undefined) this.#add(within, 'link');
    }
  }

  #addBare(written: string): void {
    const name = written.replace(/^\.+|\.+$/g, '');
    // `report.txt` and `1.5` are no hosts; a name of a link may have any ending.
    if (isIP(name) === 0 && hasPublicSuffix(domainToASCII(name))) this.#addHost(name, 'bare');
  }

  #addHost(written: string, kind: LinkKind): void {
    if (this.#left-- <= 0) return;
    const host = domainToASCII(written.replace(/\.$/, '')).toLowerCase();
    if (host !== '') this.#add(host, kind);
  }

  #add(host: string, kind: LinkKind): void {
    const bare = host.replace(/^\[|\]$/g, '').replace(/\.$/, '');
    if (isIP(bare) === 0 && !isHostName(bare)) return;
    if (kind === 'link' || !this.#kinds.has(bare)) this.#kinds.set(bare, kind);
  }
}

/** `hxxp` is written so that people, but not filters, read on. */
const schemed = /\b(?:h(?:tt|xx|\*\*)ps?|ftp):[\\/]{1,4}[^\s<>"'`]{1,2048}/gi;
const mailAddress = /[^\s<>"'@]@([\p{L}\p{N}][\p{L}\p{N}\p{M}.-]{1,252})/gu;
/** Labels have 63 octets, and a search from within one would take quadratic time. RFC 1035 section 2.3.4. */
const bareName =
  /(?<![\p{sc=Latin}\p{sc=Cyrillic}\p{sc=Greek}\p{N}_@.-])[A-Za-z0-9_-]{1,63}(?:\.[A-Za-z0-9_-]{1,63}){1,10}/gu;
/** Labels in scripts that put no space between words end where the name does. */
const wideName = /(?<![\p{L}\p{N}@.-])[\p{L}\p{N}\p{M}-]{1,63}(?:\.[\p{L}\p{N}\p{M}-]{1,63}){1,10}/gu;

/** Without invisible characters; with full stops where other full stops, or words for one, stand. RFC 5895 section 2.2. */
function undisguised(text: string): string {
  return text
    .replace(/[\u00ad\u200b-\u200f\u2060\ufeff]/g, '')
    .replace(/[\u3002\uff0e\uff61]/g, '.')
    .replace(/ ?[[({](?:\.|dot)[\])}] ?/gi, '.');
}

/** Scripts without spaces go on right after a link: where the whole is no name in DNS, its beginning in US-ASCII is. */
function linkHostOf(url: string, scheme: string): string | undefined {
  const host = hostOf(url);
  if (host !== undefined && (isIP(host) !== 0 || hasPublicSuffix(host))) return host;
  const ascii = /^[\\/]*([a-z0-9.-]{1,253})/i.exec(url.slice(scheme.length))?.[1]?.replace(/\.$/, '');
  return ascii !== undefined && hasPublicSuffix(ascii) ? hostOf(`${scheme}//${ascii}`) : host;
}

function hostOf(url: string): string | undefined {
  const { hostname } = URL.parse(url) ?? {};
  return hostname === undefined || hostname === '' ? undefined : hostname;
}

/** Percent-decoded where that gives text. */
function decoded(text: string): string {
  if (!text.includes('%')) return text;
  return text.replace(/(?:%[0-7][0-9a-f])+/gi, (run) => decodeURIComponent(run));
}

function isHostName(host: string): boolean {
  return (
    host.length <= 253 &&
    host.includes('.') &&
    host.split('.').every((label) => /^[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?$/.test(label))
  );
}

/** Values of all attributes of all tags, as they are written. */
function* attributeValues(html: string): Generator<string> {
  const tag = /<[a-z][^\s/>]{0,30}/gi;
  const attribute = new RegExp(
    `[\\s/"']*([^\\s"'<>/=]{1,60})\\s*(?:=\\s*("[^"]{0,${attributeCharactersMax}}"|'[^']{0,${attributeCharactersMax}}'|[^\\s"'>]{1,${attributeCharactersMax}}))?`,
    'y',
  );
  for (let found = tag.exec(html); found !== null; found = tag.exec(html)) {
    attribute.lastIndex = tag.lastIndex;
    for (let each = attribute.exec(html); each !== null; each = attribute.exec(html)) {
      const value = each[2];
      if (value !== undefined) yield /^["']/.test(value) ? value.slice(1, -1) : value;
      tag.lastIndex = attribute.lastIndex;
    }
  }
}
