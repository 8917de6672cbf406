/** What a command says where it is called wrongly: which command, what is wrong, and where to read on. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runCommand } from '../kit/command.ts';

const cases: readonly { name: string; args: string[]; code: number; stderr: string | RegExp }[] = [
  {
    name: 'an option that no command has',
    args: ['queue', 'list', '--nosuch'],
    code: 64,
    stderr: 'mailfilter queue list: unknown option \'--nosuch\'\nSee "mailfilter queue list --help".\n',
  },
  {
    name: 'an argument that is missing',
    args: ['sieve', 'run', 'x.sieve'],
    code: 64,
    stderr:
      'mailfilter sieve run: missing required argument \'message\'\nSee "mailfilter sieve run --help".\n',
  },
  {
    name: 'a command that is none',
    args: ['serv'],
    code: 64,
    stderr: 'mailfilter: unknown command \'serv\'\n(Did you mean serve?)\nSee "mailfilter --help".\n',
  },
  ...['sieve check', 'procmail check', 'procmail run', 'procmail convert'].map((command) => ({
    name: `${command} of a file that is not there`,
    args: [...command.split(' '), '/nowhere/rules'],
    code: 66,
    stderr: 'mailfilter: /nowhere/rules: there is no such file or folder\n',
  })),
  {
    name: 'a folder for a file',
    args: ['sieve', 'check', '/'],
    code: 66,
    stderr: 'mailfilter: /: it is a folder\n',
  },
  {
    name: 'an output file in a folder that is not there',
    args: ['schema', '--output', '/nowhere/schema.json'],
    code: 74,
    stderr: 'mailfilter: /nowhere/schema.json: there is no such file or folder\n',
  },
  {
    name: 'a config of sendmail that is not there',
    args: ['sendmail', '-C', '/nowhere/mailfilter.json', 'ann@example.org'],
    code: 78,
    stderr: 'mailfilter: cannot read the config /nowhere/mailfilter.json: there is no such file or folder\n',
  },
];

for (const { name, args, code, stderr } of cases) {
  test(name, async () => {
    const ran = await runCommand(args, { input: 'Subject: x\n\n' });
    assert.deepEqual({ code: ran.code, stderr: ran.stderr }, { code, stderr });
  });
}
