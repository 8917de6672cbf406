/** A blocklist's zone as configured, and what its answers mean. RFC 5782 section 2.1. */
import { BlockList, isIPv4 } from 'node:net';

export interface Zone {
  /** Without a dot at the end, lower case. */
  readonly name: string;
  readonly action: 'reject' | 'score' | 'mark';
  readonly score: number;
  /** `DNSBL_` and the name. */
  readonly symbol: string;
  /** Answers that count. */
  readonly counts: BlockList;
}

interface Defaults {
  readonly action: Zone['action'];
  readonly score: number;
}
interface ZoneOptions extends Partial<Defaults> {
  readonly zone: string;
  readonly answers?: readonly string[];
}

/** @throws Error for an answer that is no address of 127.0.0.0/8 */
export function readZones(options: readonly unknown[], defaults: Defaults): readonly Zone[] {
  return options.map((option) =>
    readZone(typeof option === 'string' ? { zone: option } : (option as ZoneOptions), defaults),
  );
}

function readZone({ zone, answers = [], action, score }: ZoneOptions, defaults: Defaults): Zone {
  const name = zone.toLowerCase().replace(/\.$/, '');
  const counts = new BlockList();
  if (answers.length === 0) counts.addSubnet('127.0.0.0', 8, 'ipv4');
  for (const answer of answers) addAnswer(counts, answer, name);
  return {
    name,
    action: action ?? defaults.action,
    score: score ?? defaults.score,
    symbol: `DNSBL_${name.toUpperCase().replace(/[^A-Z0-9]+/g, '_')}`.slice(0, 64),
    counts,
  };
}

function addAnswer(counts: BlockList, answer: string, zone: string): void {
  const [address = '', prefix = '32'] = answer.split('/');
  const length = Number(prefix);
  const fits = isIPv4(address) && address.startsWith('127.') && /^\d+$/.test(prefix);
  if (!fits || length < 8 || length > 32) {
    throw new Error(`zones: ${zone}: "${answer}" is no answer of a list: 127.x.y.z, or 127.x.y.z/8 to /32`);
  }
  counts.addSubnet(address, length, 'ipv4');
}

/**
 * The answers that say "listed".
 * @throws Error when the list answers with an error code instead
 */
export function judgeAnswers(zone: Zone, answers: readonly string[]): string[] {
  // Spamhaus and others answer 127.255.255.x to queries they will not serve: through an open resolver, too many, misspelt.
  const refusal = answers.find((answer) => answer.startsWith('127.255.255.'));
  if (refusal)
    throw new Error(`${zone.name} refuses to answer (${refusal}): see the list's own pages for the code`);
  // Only 127.0.0.0/8 means "listed"; anything else is a parked or hijacked zone. RFC 5782 section 2.1.
  return answers.filter(
    (answer) => isIPv4(answer) && answer.startsWith('127.') && zone.counts.check(answer, 'ipv4'),
  );
}
