/** src/install.js: runs `npm ci` exactly when the installed packages are not those of package-lock.json. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { projectRoot } from '../kit/require.ts';

type Packages = Record<string, { version: string; optional?: boolean }>;

const wanted: Packages = {
  '': { version: '1.0.0' },
  'node_modules/a': { version: '1.0.0' },
  'node_modules/b/node_modules/c': { version: '2.0.0' },
  'node_modules/other-platform': { version: '1.0.0', optional: true },
};
const { '': _root, 'node_modules/other-platform': _other, ...here } = wanted;

/** A program of its own with a stand-in for npm, which notes how it was called. */
function install(t: TestContext, installed: Packages | string | undefined, npmExitCode = 0) {
  const folder = mkdtempSync(join(tmpdir(), 'mailfilter-install-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  mkdirSync(join(folder, 'src'));
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }');
  copyFileSync(join(projectRoot, 'src/install.js'), join(folder, 'src/install.js'));
  writeFileSync(join(folder, 'package-lock.json'), JSON.stringify({ packages: wanted }));
  if (installed !== undefined) {
    mkdirSync(join(folder, 'node_modules'));
    const text = typeof installed === 'string' ? installed : JSON.stringify({ packages: installed });
    writeFileSync(join(folder, 'node_modules/.package-lock.json'), text);
  }
  const npm = join(folder, 'npm.js');
  const called = join(folder, 'called');
  writeFileSync(
    npm,
    `import { writeFileSync } from 'node:fs';
     writeFileSync(${JSON.stringify(called)}, process.argv.slice(2).join(' ') + ' in ' + process.cwd());
     process.exit(${npmExitCode});`,
  );
  const { status, stdout, stderr } = spawnSync(process.execPath, [join(folder, 'src/install.js')], {
    cwd: tmpdir(),
    env: { ...process.env, npm_execpath: npm },
    encoding: 'utf8',
  });
  return {
    folder,
    status,
    stdout,
    stderr,
    called: existsSync(called) ? readFileSync(called, 'utf8') : undefined,
  };
}

const cases: readonly {
  name: string;
  installed: Packages | string | undefined;
  reason: RegExp | undefined;
}[] = [
  { name: 'nothing is installed', installed: undefined, reason: /not installed yet/ },
  { name: 'an install was cut off', installed: '{ "packages"', reason: /not installed yet/ },
  { name: 'everything is there', installed: here, reason: undefined },
  {
    name: 'a package is missing',
    installed: { 'node_modules/a': { version: '1.0.0' } },
    reason: /c 2\.0\.0 is not installed/,
  },
  {
    name: 'a package is of another version',
    installed: { ...here, 'node_modules/a': { version: '0.9.0' } },
    reason: /a 1\.0\.0 is not installed/,
  },
];
for (const { name, installed, reason } of cases) {
  test(name, (t) => {
    const result = install(t, installed);
    assert.equal(result.status, 0, result.stderr);
    assert.equal(result.called, reason && `ci --no-audit --no-fund --loglevel=error in ${result.folder}`);
    if (reason) assert.match(result.stdout, reason);
    else assert.equal(result.stdout, '');
  });
}

test('a failed install is said, and fails what follows', (t) => {
  const { status, stderr } = install(t, undefined, 1);
  assert.equal(status, 69);
  assert.match(stderr, /"npm ci" ended with 1/);
});

test('this very installation is up to date', () => {
  const { status, stdout } = spawnSync(process.execPath, [join(projectRoot, 'src/install.js')], {
    env: { ...process.env, npm_execpath: '/nonexistent.js' },
    encoding: 'utf8',
  });
  assert.equal(status, 0);
  assert.equal(stdout, '');
});
