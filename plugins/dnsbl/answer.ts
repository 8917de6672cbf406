/** From what lists said to the plugin's answer. */
import type { AuthResult, HookAnswer, Json, Results, ScoredSymbol } from 'mailfilter/plugin';
import { type Hit, ListUnfit, type Trouble } from '../../rules/dns-lists/ask.ts';
import type { ListAction } from '../../rules/dns-lists/list.ts';
import type { ClientQuestion } from './question.ts';
import type { Ask } from './zone.ts';

type ClientHit = Hit<ClientQuestion>;

/** What this plugin, or another entry of it, left before. */
export interface Heard {
  readonly listed: readonly Json[];
  /** Lists that vouch for the client. */
  readonly allowed: readonly string[];
  readonly failed: readonly string[];
}

export function heardBefore({ dnsbl }: Results): Heard {
  const { listed = [], allowed = [], failed = [] } = (dnsbl ?? {}) as Partial<Heard>;
  return { listed, allowed, failed };
}

/** @returns undefined where no list said anything */
export function answerOf(
  hits: readonly ClientHit[],
  troubles: readonly Trouble<ClientQuestion>[],
  auth: readonly AuthResult[],
  before: Heard,
): HookAnswer | undefined {
  if (hits.length === 0 && troubles.length === 0 && auth.length === 0) return undefined;
  const allowed = [...before.allowed, ...vouchers(hits)];
  const failed = [...before.failed, ...troubles.map(({ question }) => question.list.name)];
  return {
    result: {
      listed: [...before.listed, ...hits.map(listingOf)],
      ...(allowed.length > 0 && { allowed: [...new Set(allowed)] }),
      ...(failed.length > 0 && { failed: [...new Set(failed)] }),
    },
    symbols: symbolsOf(hits),
    ...(auth.length > 0 && { auth }),
  };
}

export function vouchers(hits: readonly ClientHit[]): string[] {
  return hits.filter((hit) => actionOf(hit) === 'allow').map(({ question }) => question.list.name);
}

/** The first hit that refuses, in the order of the config. */
export function refusalOf(hits: readonly ClientHit[]): ClientHit | undefined {
  return hits.find((hit) => actionOf(hit) === 'reject');
}

const saysWhat: Readonly<Record<Ask, (of: string) => string>> = {
  address: (of) => `client [${of}]`,
  helo: (of) => `HELO name ${of}`,
  sender: (of) => `sender domain ${of}`,
  reverse: (of) => `client name ${of}`,
};

export function refusalText({ question: { ask, of, list } }: ClientHit, reason: string | undefined): string {
  return `${saysWhat[ask](of)} is listed by ${list.name}${reason === undefined ? '' : `: ${reason}`}`;
}

/**
 * RFC 8904 section 2: what the allow lists say of the address.
 * @param texts the TXT record of a hit, by list
 */
export function dnswlResults(
  asked: readonly ClientQuestion[],
  hits: readonly ClientHit[],
  troubles: readonly Trouble<ClientQuestion>[],
  texts: ReadonlyMap<string, string>,
): AuthResult[] {
  return asked
    .filter(({ list, ask }) => list.vouches && ask === 'address')
    .map((question): AuthResult => {
      const zone = question.list.name;
      const properties = { 'dns.zone': zone };
      const trouble = troubles.find((each) => each.question === question);
      if (trouble) {
        const result = trouble.error instanceof ListUnfit ? 'permerror' : 'temperror';
        return { method: 'dnswl', result, properties };
      }
      const hit = hits.find((each) => each.question === question);
      if (!hit) return { method: 'dnswl', result: 'none', properties };
      const text = texts.get(zone);
      return {
        method: 'dnswl',
        result: 'pass',
        properties: {
          ...properties,
          'policy.ip': hit.answers[0] ?? '',
          ...(text !== undefined && { 'policy.txt': text }),
        },
      };
    });
}

function listingOf(hit: ClientHit): Json {
  const { question, answers, meanings } = hit;
  const names = meanings.map(({ name }) => name).filter((name) => name !== '');
  return {
    zone: question.list.name,
    answers: [...answers],
    action: actionOf(hit),
    ...(names.length > 0 && { codes: names }),
    ...(question.ask !== 'address' && { ask: question.ask, of: question.of }),
  };
}

/** A domain that two of the names share counts once. */
function symbolsOf(hits: readonly ClientHit[]): ScoredSymbol[] {
  const found = new Map<string, ScoredSymbol>();
  for (const { question, meanings } of hits) {
    const ending = question.ask === 'address' ? '' : `_${question.ask.toUpperCase()}`;
    for (const { symbol, score, action } of meanings) {
      const name = `${symbol}${ending}`;
      if (action === 'score' || action === 'allow') found.set(name, { name, score });
    }
  }
  return [...found.values()];
}

const hardness: readonly ListAction[] = ['reject', 'allow', 'score', 'mark'];

/** The hardest of what its answers mean. */
function actionOf({ meanings }: ClientHit): ListAction {
  return hardness.find((action) => meanings.some((meaning) => meaning.action === action)) ?? 'mark';
}
