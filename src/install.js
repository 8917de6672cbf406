/** Before `npm start` and `npm test`: installs the packages when they are missing or not those of package-lock.json. Plain JavaScript for Node 20. */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const reason = staleness();
if (reason !== undefined) install(reason);

/** Why the installed packages will not do, or undefined when they are those of package-lock.json. */
function staleness() {
  const wanted = packagesOf('package-lock.json');
  if (wanted === undefined) return undefined;
  // npm's own note of what it installed.
  const installed = packagesOf('node_modules/.package-lock.json');
  if (installed === undefined) return 'its packages are not installed yet';
  for (const [path, { version, optional }] of Object.entries(wanted)) {
    const have = installed[path];
    // Optional packages of other platforms are left out by npm.
    const fine = have === undefined ? path === '' || optional === true : have.version === version;
    if (!fine) return `${path.replace(/^.*node_modules\//, '')} ${version} is not installed`;
  }
  return undefined;
}

function packagesOf(file) {
  try {
    return JSON.parse(readFileSync(join(root, file), 'utf8')).packages;
  } catch {
    // Missing or cut off: both mean that nothing is known to be installed.
    return undefined;
  }
}

function install(why) {
  process.stdout.write(`mailfilter: ${why}; running "npm ci" in ${root} (once, about a minute)\n`);
  const started = Date.now();
  const npm = process.env.npm_execpath;
  const [command, ...first] = npm?.endsWith('.js') ? [process.execPath, npm] : ['npm'];
  const { status, error } = spawnSync(
    command,
    [...first, 'ci', '--no-audit', '--no-fund', '--loglevel=error'],
    {
      cwd: root,
      stdio: 'inherit',
    },
  );
  if (status === 0) {
    process.stdout.write(`mailfilter: installed in ${Math.round((Date.now() - started) / 1000)} s\n`);
    return;
  }
  const how = error === undefined ? `ended with ${status}` : error.message;
  process.stderr.write(
    `mailfilter: "npm ci" ${how}. Is the package registry within reach? Then run it by hand.\n`,
  );
  process.exitCode = 69;
}
