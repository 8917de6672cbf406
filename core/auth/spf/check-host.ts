/** check_host(): may this client send mail for that domain? Bounded questions, every failure of DNS a temperror. RFC 7208 section 4. */
import { spfLimits } from '../../base/limits/auth.ts';
import { isDomain, normaliseDomain } from '../../mail/address.ts';
import { type AuthDns, askDns, DnsTrouble } from '../dns.ts';
import { type IpOctets, isInNetwork, parseIp } from './ip-address.ts';
import { expandDomain, expandExplanation, type MacroValues } from './macro.ts';
import { isSpfRecord, type Mechanism, parseSpfRecord, type SpfRecord } from './record.ts';

/** RFC 7208 section 2.6. */
export type SpfWord = 'none' | 'neutral' | 'pass' | 'fail' | 'softfail' | 'temperror' | 'permerror';

export interface SpfResult {
  readonly result: SpfWord;
  /** The domain that was asked about. */
  readonly domain: string;
  /** The term that decided, as its record has it. */
  readonly mechanism?: string;
  /** Why there is no result, in a few words. */
  readonly problem?: string;
  /** The domain owner's words for a fail (exp=); never more than a line of printable US-ASCII. */
  readonly explanation?: string;
  /** Terms that asked DNS. */
  readonly lookups: number;
}

export interface SpfQuestion {
  /** The client's address, IPv4 or IPv6. */
  readonly ip: string;
  /** `local@domain`; without a local part, `postmaster` is meant. */
  readonly sender: string;
  readonly helo: string;
  /** Our own name, for explanations. */
  readonly receiver: string;
  /** Epoch milliseconds. */
  readonly now: number;
}

/** A term that was carried out, for those who ask how a result came about. */
export interface SpfStep {
  /** Whose record it stands in. */
  readonly domain: string;
  readonly term: string;
  readonly matches: boolean;
}

/**
 * The result for the domain of the sender. Never throws for what DNS says.
 * @param onStep hears of each term, those of an include before the include itself
 */
export async function checkHost(
  question: SpfQuestion,
  dns: AuthDns,
  onStep?: (step: SpfStep) => void,
): Promise<SpfResult> {
  const at = question.sender.lastIndexOf('@');
  const written = question.sender.slice(at + 1);
  // RFC 7208 section 4.3
  const local = at > 0 ? question.sender.slice(0, at) : 'postmaster';
  const domain = normaliseDomain(written.replace(/\.$/, ''));
  const ip = parseIp(question.ip);
  if (ip === undefined || !isCheckable(domain)) return { result: 'none', domain: written, lookups: 0 };
  const check = new Check({ ...question, sender: `${local}@${domain}` }, ip, dns, onStep);
  try {
    const outcome = await check.run(domain);
    const { explain, ...result } = outcome;
    const explanation = explain === undefined ? undefined : await check.explain(explain);
    return { ...result, domain, lookups: check.lookups, ...(explanation !== undefined && { explanation }) };
  } catch (error) {
    if (!(error instanceof SpfEnd)) throw error;
    return { result: error.result, problem: error.message, domain, lookups: check.lookups };
  }
}

interface Outcome {
  readonly result: SpfWord;
  readonly mechanism?: string;
  /** Where the explanation of a fail is: exp= and the domain whose record has it. */
  readonly explain?: { readonly exp: string; readonly domain: string };
}

/** Ends the whole check, however deep in includes. */
class SpfEnd extends Error {
  readonly result: 'temperror' | 'permerror';

  constructor(result: 'temperror' | 'permerror', problem: string) {
    super(problem);
    this.result = result;
  }
}

class Check {
  readonly #question: SpfQuestion;
  readonly #ip: IpOctets;
  readonly #dns: AuthDns;
  readonly #onStep: ((step: SpfStep) => void) | undefined;
  #lookups = 0;
  #voidLookups = 0;

  constructor(question: SpfQuestion, ip: IpOctets, dns: AuthDns, onStep?: (step: SpfStep) => void) {
    this.#question = question;
    this.#ip = ip;
    this.#dns = dns;
    this.#onStep = onStep;
  }

  get lookups(): number {
    return this.#lookups;
  }

  /** @throws SpfEnd */
  async run(domain: string): Promise<Outcome> {
    const record = await this.#record(domain);
    if (record === undefined) return { result: 'none' };
    const { directives, redirect, exp } = record;
    for (const directive of directives) {
      const { qualifier: result, text: mechanism } = directive;
      const matches = await this.#matches(directive.mechanism, domain);
      this.#onStep?.({ domain, term: mechanism, matches });
      if (!matches) continue;
      return {
        result,
        mechanism,
        ...(result === 'fail' && exp !== undefined && { explain: { exp, domain } }),
      };
    }
    // RFC 7208 section 6.1: with an `all` this is never reached.
    return redirect === undefined ? { result: 'neutral' } : this.#redirect(redirect, domain);
  }

  /** RFC 7208 section 6.2; what goes wrong here leaves the fail without words. */
  async explain({ exp, domain }: NonNullable<Outcome['explain']>): Promise<string | undefined> {
    try {
      const values = this.#values(domain);
      const name = await expandDomain(exp, values);
      const texts = name === undefined ? [] : await askDns(() => this.#dns.txt(name));
      if (texts.length !== 1) return undefined;
      const text = await expandExplanation(texts[0]!, values);
      return text !== undefined && /^[\x20-\x7e]*$/.test(text) ? text : undefined;
    } catch (error) {
      if (!(error instanceof DnsTrouble || error instanceof SpfEnd)) throw error;
      return undefined;
    }
  }

  /** RFC 7208 sections 4.4 and 4.5. */
  async #record(domain: string): Promise<SpfRecord | undefined> {
    const records = (await this.#ask(() => this.#dns.txt(domain))).filter(isSpfRecord);
    if (records.length === 0) return undefined;
    if (records.length > 1) throw new SpfEnd('permerror', `${domain} has ${records.length} SPF records`);
    const record = parseSpfRecord(records[0]!);
    if ('problem' in record) throw new SpfEnd('permerror', `${domain}: ${record.problem}`);
    return record;
  }

  async #redirect(domainSpec: string, domain: string): Promise<Outcome> {
    this.#countLookup();
    this.#onStep?.({ domain, term: `redirect=${domainSpec}`, matches: true });
    const target = await this.#target(domainSpec, domain);
    const outcome: Outcome =
      target !== undefined && isCheckable(target) ? await this.run(target) : { result: 'none' };
    if (outcome.result === 'none') throw new SpfEnd('permerror', `redirect=${domainSpec} has no SPF record`);
    return outcome;
  }

  async #matches(mechanism: Mechanism, domain: string): Promise<boolean> {
    switch (mechanism.kind) {
      case 'all':
        return true;
      case 'network':
        return isInNetwork(this.#ip, mechanism.network, mechanism.bits);
      case 'include':
        return this.#includes(mechanism.domainSpec, domain);
      case 'exists':
        return this.#exists(mechanism.domainSpec, domain);
      case 'a':
      case 'mx':
        return this.#hasHost(mechanism, domain);
      case 'ptr':
        return this.#hasName(mechanism.domainSpec, domain);
    }
  }

  /** RFC 7208 section 5.2. */
  async #includes(domainSpec: string, domain: string): Promise<boolean> {
    this.#countLookup();
    const target = await this.#target(domainSpec, domain);
    const result = target !== undefined && isCheckable(target) ? (await this.run(target)).result : 'none';
    if (result === 'none') throw new SpfEnd('permerror', `include:${domainSpec} has no SPF record`);
    return result === 'pass';
  }

  /** RFC 7208 section 5.7: A records, whatever the client's family. */
  async #exists(domainSpec: string, domain: string): Promise<boolean> {
    this.#countLookup();
    const target = await this.#target(domainSpec, domain);
    return target !== undefined && (await this.#askCounted(() => this.#dns.a(target))).length > 0;
  }

  /** RFC 7208 sections 5.3 and 5.4. */
  async #hasHost(mechanism: Mechanism & { kind: 'a' | 'mx' }, domain: string): Promise<boolean> {
    this.#countLookup();
    const target = await this.#target(mechanism.domainSpec, domain);
    if (target === undefined) return false;
    const hosts = mechanism.kind === 'a' ? [target] : await this.#mailHosts(target);
    const bits = this.#ip.length === 4 ? mechanism.bits4 : mechanism.bits6;
    for (const host of hosts) {
      const addresses = await this.#askCounted(() => this.#addresses(host));
      if (addresses.some((address) => isInNetwork(this.#ip, parseIp(address) ?? [], bits))) return true;
    }
    return false;
  }

  async #mailHosts(domain: string): Promise<string[]> {
    const records = await this.#askCounted(() => this.#dns.mx(domain));
    // RFC 7208 section 4.6.4
    if (records.length > spfLimits.namesMax)
      throw new SpfEnd('permerror', `${domain} has more than ${spfLimits.namesMax} MX records`);
    // RFC 7505: the null MX names no host.
    return records
      .sort((left, right) => left.preference - right.preference)
      .flatMap(({ exchange }) => (exchange === '' || exchange === '.' ? [] : [exchange]));
  }

  /** RFC 7208 section 5.5. */
  async #hasName(domainSpec: string | undefined, domain: string): Promise<boolean> {
    this.#countLookup();
    const target = await this.#target(domainSpec, domain);
    if (target === undefined) return false;
    const lower = target.toLowerCase();
    const names = await this.#names();
    if (names?.length === 0) this.#countVoid();
    return (await this.#validated(names ?? [])).some((name) => name === lower || name.endsWith(`.${lower}`));
  }

  /** Of the client; undefined when DNS fails, which here only means that there is no match. RFC 7208 section 5.5. */
  async #names(): Promise<string[] | undefined> {
    return this.#unlessFailed(() => this.#dns.ptr(this.#question.ip));
  }

  /** Those that lead back to the client's address. */
  async #validated(names: readonly string[]): Promise<string[]> {
    const validated: string[] = [];
    for (const name of names.slice(0, spfLimits.namesMax)) {
      const addresses = (await this.#unlessFailed(() => this.#addresses(name))) ?? [];
      const isClient = (address: string) =>
        isInNetwork(this.#ip, parseIp(address) ?? [], this.#ip.length * 8);
      if (addresses.some(isClient)) validated.push(name.toLowerCase().replace(/\.$/, ''));
    }
    return validated;
  }

  /** RFC 7208 section 7.3, for the macro p. */
  async #validatedName(domain: string): Promise<string> {
    const names = await this.#validated((await this.#names()) ?? []);
    return (
      names.find((name) => name === domain) ??
      names.find((name) => name.endsWith(`.${domain}`)) ??
      names[0] ??
      'unknown'
    );
  }

  #addresses(name: string): Promise<string[]> {
    return this.#ip.length === 4 ? this.#dns.a(name) : this.#dns.aaaa(name);
  }

  #target(domainSpec: string | undefined, domain: string): Promise<string | undefined> {
    return domainSpec === undefined
      ? Promise.resolve(domain)
      : expandDomain(domainSpec, this.#values(domain));
  }

  #values(domain: string): MacroValues {
    const { ip, sender, helo, receiver, now } = this.#question;
    return {
      ip: this.#ip,
      readableIp: this.#ip.length === 4 ? this.#ip.join('.') : ip,
      sender,
      helo,
      domain,
      receiver,
      now: Math.floor(now / 1000),
      validatedName: () => this.#validatedName(domain),
    };
  }

  /** RFC 7208 section 4.6.4. */
  #countLookup(): void {
    this.#lookups++;
    if (this.#lookups > spfLimits.lookupsMax)
      throw new SpfEnd('permerror', `more than ${spfLimits.lookupsMax} terms that ask DNS`);
  }

  async #askCounted<Record>(question: () => Promise<Record[]>): Promise<Record[]> {
    const records = await this.#ask(question);
    if (records.length === 0) this.#countVoid();
    return records;
  }

  /** RFC 7208 section 4.6.4. */
  #countVoid(): void {
    this.#voidLookups++;
    if (this.#voidLookups > spfLimits.voidLookupsMax)
      throw new SpfEnd('permerror', `more than ${spfLimits.voidLookupsMax} questions without an answer`);
  }

  async #ask<Record>(question: () => Promise<Record[]>): Promise<Record[]> {
    try {
      return await askDns(question);
    } catch (error) {
      if (!(error instanceof DnsTrouble)) throw error;
      throw new SpfEnd('temperror', error.message);
    }
  }

  async #unlessFailed<Record>(question: () => Promise<Record[]>): Promise<Record[] | undefined> {
    try {
      return await askDns(question);
    } catch (error) {
      if (!(error instanceof DnsTrouble)) throw error;
      return undefined;
    }
  }
}

/** RFC 7208 section 4.3: a name of at least two labels. */
function isCheckable(domain: string): boolean {
  return domain.includes('.') && isDomain(domain);
}
