/** SpamAssassin's and rspamd's Bayes alone, taught and asked by their own programs on the folds that ours is measured on. */
import { spawn } from 'node:child_process';
import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { collect } from '../kit/command.ts';
import { freePorts } from '../kit/free-port.ts';
import { accepts, idsOf } from '../kit/postfix.ts';
import { projectRoot } from '../kit/require.ts';
import { until } from '../kit/server.ts';
import { type Sample, type Scored, split } from './spam-folds.ts';

/** By the library that sa-learn and spamd are made of: it tells the probability in full. */
export async function spamAssassinBayes(samples: readonly Sample[]): Promise<Scored[]> {
  const directory = mkdtempSync(join(tmpdir(), 'mailfilter-bayes-'));
  try {
    const files = samples.map((sample, index) => {
      const file = join(directory, `${index}.eml`);
      writeFileSync(file, sample.octets);
      return { ...sample, file };
    });
    const scored: Scored[] = [];
    for (const { taught, held } of split(files)) {
      const database = mkdtempSync(join(directory, 'fold-'));
      writeFileSync(join(database, 'none'), '');
      const lines = [
        ...taught.map(({ kind, file }) => `${kind} ${file}\n`),
        ...held.map(({ file }) => `judge ${file}\n`),
      ];
      const script = join(projectRoot, 'test/bench/spamassassin-bayes.pl');
      const { code, stdout, stderr } = await collect(spawn('perl', [script, database]), lines.join(''));
      const scores = stdout.trim().split('\n').map(Number);
      if (code !== 0 || scores.length !== held.length) throw new Error(`SpamAssassin: ${stderr}`);
      scored.push(...held.map(({ kind, name }, index) => ({ kind, name, score: scores[index]! })));
    }
    return scored;
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** Over HTTP as rspamc asks; its SQLite backend, which needs no Redis and keeps the same counts. */
export async function rspamdBayes(samples: readonly Sample[]): Promise<Scored[]> {
  const scored: Scored[] = [];
  for (const { taught, held } of split(samples)) {
    await using rspamd = await startRspamdBayes();
    for (const { kind, octets } of taught) await rspamd.ask(`/learn${kind}`, octets);
    for (const { kind, name, octets } of held) {
      const { symbols = {} } = (await rspamd.ask('/checkv2', octets)) as {
        symbols?: Record<string, { score: number }>;
      };
      scored.push({ kind, name, score: (symbols.BAYES_SPAM?.score ?? 0) - (symbols.BAYES_HAM?.score ?? 0) });
    }
  }
  return scored;
}

/** Its rules of Lua stay, for they make the tokens of the header; no module does. */
const rspamdConfig = (directory: string, port: number) => `
options {
  filters = ""; pidfile = "${directory}/pid"; tempdir = "${directory}"; maps_cache_dir = "${directory}";
  url_tld = "/usr/share/rspamd/effective_tld_names.dat"; hs_cache_dir = "${tmpdir()}/mailfilter-rspamd-patterns";
  local_addrs = []; cache_file = "${directory}/symbols.cache"; control_socket = "${directory}/control mode=0600";
  dns { timeout = 0.05s; retransmits = 1; nameserver = ["127.0.0.1"]; }
}
logging { type = "file"; filename = "${directory}/log"; level = "error"; }
lua = "/usr/share/rspamd/rules/rspamd.lua";
actions { reject = 1000000; }
group "statistics" { symbols = { "BAYES_SPAM" { weight = 1000.0; } "BAYES_HAM" { weight = 1000.0; } } }
worker "controller" { bind_socket = "127.0.0.1:${port}"; count = 1; secure_ip = ["127.0.0.1"]; }
classifier "bayes" {
  tokenizer { name = "osb"; }
  backend = "sqlite3";
  cache { type = "sqlite3"; path = "${directory}/learnt.sqlite"; }
  min_tokens = 11; min_learns = 1;
  statfile { symbol = "BAYES_HAM"; spam = false; path = "${directory}/ham.sqlite"; }
  statfile { symbol = "BAYES_SPAM"; spam = true; path = "${directory}/spam.sqlite"; }
}
`;

/** In memory where there is such a place: SQLite syncs after each lesson. */
const fastFolder = '/dev/shm';

async function startRspamdBayes() {
  const directory = mkdtempSync(join(fastFolder, 'mailfilter-rspamd-'));
  const { uid, gid } = idsOf('_rspamd');
  chmodSync(directory, 0o755);
  chownSync(directory, uid, gid);
  mkdirSync(join(tmpdir(), 'mailfilter-rspamd-patterns'), { recursive: true, mode: 0o755 });
  const [port] = await freePorts(1);
  const file = join(directory, 'rspamd.conf');
  writeFileSync(file, rspamdConfig(directory, port!));
  const child = spawn('rspamd', ['-f', '-u', '_rspamd', '-g', '_rspamd', '-c', file], { stdio: 'ignore' });
  const ended = new Promise((resolve) => child.once('exit', resolve));
  await until('rspamd to listen', () => accepts(port!), 90_000);
  return {
    ask: (path: string, octets: Buffer) => post(port!, path, octets),
    async [Symbol.asyncDispose]() {
      child.kill('SIGTERM');
      await ended;
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

/** One lesson after the other: its database has one writer. 208 and the like say that a message was learnt before. */
function post(port: number, path: string, octets: Buffer): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const asked = request({ host: '127.0.0.1', port, path, method: 'POST' }, async (answer) => {
      let text = '';
      for await (const chunk of answer) text += chunk;
      resolve(JSON.parse(text));
    });
    asked.on('error', reject);
    asked.end(octets);
  });
}
