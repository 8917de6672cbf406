/** A reload that cannot be whole is refused, and says for what a restart is needed. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Config } from '../core/config/config.ts';
import { loadConfig } from '../core/config/load.ts';
import { assertReloadable } from '../src/restart-needed.ts';

const folder = mkdtempSync(join(tmpdir(), 'mailfilter-restart-'));
process.once('exit', () => rmSync(folder, { recursive: true }));

const mx = { protocol: 'smtp', address: '127.0.0.1:2525', tls: 'none' };

function load(changes: Record<string, unknown>): Config {
  const file = join(folder, 'mailfilter.json');
  const config = {
    hostname: 'mx.example.test',
    dataDirectory: 'data',
    domains: ['example.test'],
    listeners: { mx },
    users: { file: 'users.json' },
    ...changes,
  };
  writeFileSync(file, JSON.stringify(config));
  return loadConfig(file);
}

const running = load({});

const cases: readonly { name: string; changes: Record<string, unknown>; keys: string }[] = [
  {
    name: 'a listener added',
    changes: { listeners: { mx, more: { ...mx, address: '127.0.0.1:2526' } } },
    keys: 'listeners.more',
  },
  {
    name: 'a listener renamed',
    changes: { listeners: { other: mx } },
    keys: 'listeners.mx, listeners.other',
  },
  {
    name: 'another address and protocol',
    changes: { listeners: { mx: { ...mx, protocol: 'lmtp', address: '127.0.0.1:2526' } } },
    keys: 'listeners.mx.protocol, listeners.mx.address',
  },
  { name: 'another users file', changes: { users: { file: 'other.json' } }, keys: 'users.file' },
  { name: 'another data directory', changes: { dataDirectory: 'other' }, keys: 'dataDirectory' },
  {
    name: 'several at once, in one message',
    changes: {
      mailbox: { format: 'mbox', path: 'mail/{user}', subaddressSeparator: '-' },
      queue: { expireSeconds: 4711 },
      durability: 'file',
      dns: { servers: ['192.0.2.1:53'] },
      state: { engine: 'memory' },
      trace: { retentionDays: 77 },
      processes: { access: 7 },
      log: { file: 'log' },
    },
    keys: 'mailbox.format, mailbox.subaddressSeparator, queue, durability, dns, processes.access, state, trace, log.file',
  },
];
for (const { name, changes, keys } of cases) {
  test(`restart needed: ${name}`, () => {
    assert.throws(() => assertReloadable(running, load(changes)), {
      code: 'restart-needed',
      message: `restart needed for: ${keys}`,
    });
  });
}

test('what a reload can take over needs no restart', () => {
  const next = load({
    hostname: 'mx2.example.test',
    domains: ['example.test', 'other.test'],
    trustedNetworks: ['192.0.2.0/24'],
    limits: { recipientsMax: 7 },
    log: { level: 'debug' },
    processes: { threads: 1 },
  });
  assert.doesNotThrow(() => assertReloadable(running, next));
});
