/** The house's order: who may import whom, no cycles, one head sentence a file. */
import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const sources = globSync(['core/**/*.ts', 'plugins/**/*.ts', 'rules/**/*.ts', 'src/**/*.ts'], {
  cwd: root,
}).sort();

/** Floor to the floors below that it may import; its own is always allowed. */
const below: Readonly<Record<string, readonly string[]>> = {
  'core/base': [],
  'core/mail': ['core/base'],
  'core/net': ['core/base'],
  'core/auth': ['core/mail', 'core/base'],
  'core/state': ['core/base'],
  'core/session': ['core/mail', 'core/base'],
  'core/plugin': ['core/session', 'core/mail', 'core/net', 'core/base'],
  'core/pipeline': ['core/plugin', 'core/session', 'core/mail', 'core/base'],
  'core/config': ['core/plugin', 'core/session', 'core/mail', 'core/net', 'core/base'],
  rules: ['core/mail', 'core/base'],
  plugins: [
    'mailfilter/plugin',
    'mailfilter/mail',
    'mailfilter/auth',
    'mailfilter/milter',
    'mailfilter/testing',
    'rules',
  ],
  'src/queue': ['core'],
  'src/outbound': ['core'],
  'src/mailbox': ['core'],
  'src/maildrop': ['core'],
  'src/fetch': ['core'],
  'src/users': ['core'],
  'src/scripts': ['src/mailbox', 'core'],
  'src/router': ['core'],
  'src/delivery': ['src/mailbox', 'core'],
  'src/flow': ['src/router', 'src/delivery', 'src/queue', 'src/outbound', 'src/mailbox', 'src/users', 'core'],
  'src/sockets': ['core'],
  'src/calls': ['src/sockets', 'core'],
  'src/ingress': ['src/flow', 'src/sockets', 'src/maildrop', 'core'],
  'src/access': ['src/sockets', 'src/calls', 'src/users', 'src/mailbox', 'src/scripts', 'rules', 'core'],
  src: ['src', 'core', 'rules'],
};

/** Packages that a floor may use besides Node's own; others only what is named. */
const baseMayUse = ['pino'];

function floorOf(path: string): string {
  const parts = path.split('/');
  if (parts[0] === 'plugins' || parts[0] === 'rules') return parts[0];
  if (parts[0] === 'src' && (parts.length === 2 || parts[1] === 'cli')) return 'src';
  return `${parts[0]}/${parts[1]}`;
}

/** Value imports count for cycles; type imports vanish before the program runs. */
function importsOf(path: string): { specifier: string; typeOnly: boolean }[] {
  const text = readFileSync(join(root, path), 'utf8');
  const found: { specifier: string; typeOnly: boolean }[] = [];
  for (const match of text.matchAll(/^(?:import|export)\s+(type\s+)?[^'"`;]*?from\s+'([^']+)'/gm)) {
    found.push({ specifier: match[2]!, typeOnly: match[1] !== undefined });
  }
  for (const match of text.matchAll(/^import\s+'([^']+)'/gm))
    found.push({ specifier: match[1]!, typeOnly: false });
  return found;
}

function target(path: string, specifier: string): string {
  return specifier.startsWith('.') ? relative(root, resolve(root, dirname(path), specifier)) : specifier;
}

test('every import goes down', () => {
  const breaches: string[] = [];
  for (const path of sources) {
    const floor = floorOf(path);
    const allowed = below[floor];
    assert.ok(allowed, `${path}: floor ${floor} is not in the table`);
    for (const { specifier } of importsOf(path)) {
      const to = target(path, specifier);
      if (specifier.startsWith('.')) {
        const toFloor = floorOf(to);
        const samePlugin = floor !== 'plugins' || to.split('/')[1] === path.split('/')[1];
        const fine =
          toFloor === floor
            ? samePlugin
            : allowed.some((each) => toFloor === each || toFloor.startsWith(`${each}/`));
        if (!fine) breaches.push(`${path} imports ${to}`);
      } else if (floor === 'core/base' && !specifier.startsWith('node:') && !baseMayUse.includes(specifier)) {
        breaches.push(`${path} imports the package ${specifier}`);
      } else if (specifier.startsWith('mailfilter/') && floor === 'plugins' && !allowed.includes(specifier)) {
        breaches.push(`${path} imports ${specifier}`);
      }
    }
  }
  assert.deepEqual(breaches, []);
});

test('no import cycles', () => {
  const edges = new Map<string, string[]>();
  for (const path of sources) {
    const values = importsOf(path).filter(
      ({ specifier, typeOnly }) => specifier.startsWith('.') && !typeOnly,
    );
    edges.set(
      path,
      values.map(({ specifier }) => target(path, specifier)),
    );
  }
  const done = new Set<string>();
  const cycles: string[] = [];
  const visit = (path: string, trail: readonly string[]): void => {
    if (trail.includes(path)) {
      cycles.push([...trail.slice(trail.indexOf(path)), path].join(' -> '));
      return;
    }
    if (done.has(path)) return;
    for (const next of edges.get(path) ?? []) visit(next, [...trail, path]);
    done.add(path);
  };
  for (const path of sources) visit(path, []);
  assert.deepEqual(cycles, []);
});

test('every file opens with what it is for', () => {
  const silent = sources.filter((path) => {
    const text = readFileSync(join(root, path), 'utf8').replace(/^#!.*\n/, '');
    return !text.startsWith('/**');
  });
  assert.deepEqual(silent, []);
});

test('no file or folder is called utils, helpers, common or manager', () => {
  const vague = sources.filter((path) =>
    /(^|\/)(utils?|helpers?|common|manager|tools?|misc)(\.ts|\/)/.test(path),
  );
  assert.deepEqual(vague, []);
});
