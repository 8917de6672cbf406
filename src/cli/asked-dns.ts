/** DNS for commands that show what they asked: from --dns, the config or the system, each answer written down. */

import type { AuthDns } from '../../core/auth/dns.ts';
import { systemClock } from '../../core/base/clock.ts';
import { createLog } from '../../core/base/log.ts';
import { loadConfig } from '../../core/config/load.ts';
import { createDns } from '../../core/net/dns.ts';
import { findConfig, usualConfig } from './config-file.ts';

export interface DnsOptions {
  readonly dns?: readonly string[];
  readonly config?: string;
}

/** One question and what came of it. */
export interface AskedQuestion {
  readonly type: string;
  readonly name: string;
  readonly answers?: readonly string[];
  readonly error?: string;
  readonly ms: number;
}

/** Words of the options. */
export const dnsOption = [
  '--dns <host:port...>',
  'DNS servers to ask (default: those of the config, else of the system)',
] as const;

/** Longest wait for one answer where no config says so. */
const timeoutMs = 5000;

/** @returns the resolver, and the list that grows as it is asked */
export function recordingDns(options: DnsOptions): { dns: AuthDns; asked: AskedQuestion[] } {
  const log = createLog({ level: 'error' });
  const dns = createDns({ ...dnsSettings(options), clock: systemClock, log });
  const asked: AskedQuestion[] = [];
  const recorded =
    <Answer>(type: string, ask: (name: string) => Promise<Answer[]>, show: (answer: Answer) => string) =>
    async (name: string): Promise<Answer[]> => {
      const start = performance.now();
      const ms = () => Math.round(performance.now() - start);
      try {
        const answers = await ask(name);
        asked.push({ type, name, answers: answers.map(show), ms: ms() });
        return answers;
      } catch (error) {
        asked.push({ type, name, error: (error as Error).message, ms: ms() });
        throw error;
      }
    };
  const existence = recorded(
    'name',
    async (name) => [await dns.exists(name)],
    (found) => (found ? 'exists' : 'does not exist'),
  );
  return {
    asked,
    dns: {
      a: recorded('A', (name) => dns.a(name), String),
      aaaa: recorded('AAAA', (name) => dns.aaaa(name), String),
      txt: recorded(
        'TXT',
        (name) => dns.txt(name),
        (text) => JSON.stringify(text),
      ),
      mx: recorded(
        'MX',
        (name) => dns.mx(name),
        ({ preference, exchange }) => `${preference} ${exchange}`,
      ),
      ptr: recorded('PTR', (ip) => dns.ptr(ip), String),
      exists: async (name) => (await existence(name))[0] === true,
    },
  };
}

function dnsSettings({ dns: servers, config }: DnsOptions): {
  servers: readonly string[];
  timeoutMs: number;
} {
  if (servers !== undefined) return { servers, timeoutMs };
  if (config === undefined && !process.env.MAILFILTER_CONFIG && usualConfig() === undefined)
    return { servers: [], timeoutMs };
  return loadConfig(findConfig(config)).dns;
}
