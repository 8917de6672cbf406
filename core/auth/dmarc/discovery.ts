/** Whose policy applies to a domain, and which domains belong together: the walk up the DNS tree. RFC 9989 section 4.10. */
import { dmarcLimits } from '../../base/limits/auth.ts';
import { type AuthDns, askDns } from '../dns.ts';
import { listedOrganizationalDomain } from './public-suffix.ts';
import { type DmarcRecord, isDmarcRecord, parseDmarcRecord } from './record.ts';

export type DmarcMode = 'rfc9989' | 'rfc7489';

export interface FoundPolicy {
  /** The domain that has the record. */
  readonly domain: string;
  readonly record: DmarcRecord;
}

/** The policies of one message's domains; no name is asked for twice. */
export class PolicyTree {
  readonly #dns: AuthDns;
  readonly #mode: DmarcMode;
  readonly #records = new Map<string, Promise<DmarcRecord | undefined>>();
  readonly #walks = new Map<string, Promise<readonly FoundPolicy[]>>();

  constructor(dns: AuthDns, mode: DmarcMode) {
    this.#dns = dns;
    this.#mode = mode;
  }

  /**
   * The policy for an author's domain: its own, else that of its organizational domain, else that of a public suffix.
   * @throws DnsTrouble
   */
  async policyFor(domain: string): Promise<FoundPolicy | undefined> {
    const own = await this.#record(domain);
    if (own !== undefined) return { domain, record: own };
    const organizational = await this.organizationalDomain(domain);
    const shared = await this.#record(organizational);
    if (shared !== undefined) return { domain: organizational, record: shared };
    if (this.#mode === 'rfc7489') return undefined;
    return (await this.#walk(domain)).find(({ record }) => record.publicSuffix === 'y');
  }

  /**
   * RFC 9989 section 4.10.2.
   * @throws DnsTrouble
   */
  async organizationalDomain(domain: string): Promise<string> {
    if (this.#mode === 'rfc7489') return listedOrganizationalDomain(domain);
    const found = await this.#walk(domain);
    const own = found.find(({ record }) => record.publicSuffix === 'n');
    if (own !== undefined) return own.domain;
    const suffix = found.find((each) => each.record.publicSuffix === 'y' && each.domain !== domain);
    if (suffix !== undefined) return rightLabels(domain, labelCount(suffix.domain) + 1);
    // The one with the fewest labels was found last.
    return found.at(-1)?.domain ?? domain;
  }

  /** Records from the domain up to the root, until one says where the walk ends. */
  #walk(domain: string): Promise<readonly FoundPolicy[]> {
    const known = this.#walks.get(domain);
    if (known !== undefined) return known;
    const walk = this.#climb(domain);
    this.#walks.set(domain, walk);
    return walk;
  }

  async #climb(start: string): Promise<readonly FoundPolicy[]> {
    const found: FoundPolicy[] = [];
    let domain = start;
    for (let asked = 0; asked < dmarcLimits.treeWalkMax && domain !== ''; asked++) {
      const record = await this.#record(domain);
      if (record !== undefined) found.push({ domain, record });
      if (record !== undefined && record.publicSuffix !== 'u') break;
      // Long names are cut to seven labels at once, so that nobody makes us ask for hundreds.
      const labels = labelCount(domain);
      domain = rightLabels(
        domain,
        labels >= dmarcLimits.treeWalkMax ? dmarcLimits.treeWalkMax - 1 : labels - 1,
      );
    }
    return found;
  }

  #record(domain: string): Promise<DmarcRecord | undefined> {
    const known = this.#records.get(domain);
    if (known !== undefined) return known;
    const asked = askDns(() => this.#dns.txt(`_dmarc.${domain}`)).then((texts) => {
      const records = texts.filter(isDmarcRecord);
      // Several are as good as none. RFC 9989 section 4.10.
      return records.length === 1 ? parseDmarcRecord(records[0]!) : undefined;
    });
    this.#records.set(domain, asked);
    return asked;
  }
}

function labelCount(domain: string): number {
  return domain.split('.').length;
}

function rightLabels(domain: string, count: number): string {
  return count <= 0 ? '' : domain.split('.').slice(-count).join('.');
}
