/** Rcfiles, each of which shows something that procmail does; `@box@` is the folder that they run in. */
import { readFileSync } from 'node:fs';

export const caseMail = `From me@x Sat Nov 21 09:00:00 2026
Subject: hello world foo
To: bob@a.b, al@c.d
X-Long: one
\ttwo
 three

body aaa bbb
second line
From here
`;

/** Parted by lines of `%%`. */
export const cases: readonly string[] = readFileSync(new URL('procmail-cases.rc', import.meta.url), 'utf8')
  .split(/^%%\n/m)
  .slice(0, -1);

/** Mails that are hardly any, each run through a few rcfiles. */
export const oddMails: Readonly<Record<string, string>> = {
  'no header': '\nbody\n',
  'no body': 'From a@b Sat Nov 21 09:00:00 2026\nSubject: x\n\n',
  'no empty line': 'From a@b Sat Nov 21 09:00:00 2026\nSubject: x\n',
  'only a From_ line': 'From a@b Sat Nov 21 09:00:00 2026\n',
  'empty lines first': '\n\nFrom: x\nSubject: y\n\nz\n',
  'no line end at the end': 'From a@b Sat Nov 21 09:00:00 2026\nSubject: x\n\nbody',
  'octets of all kinds': `From a@b Sat Nov 21 09:00:00 2026\nSubject: \x01 \xe4 \f\n\tfolded\n\n${Array.from({ length: 256 }, (_, octet) => String.fromCharCode(octet)).join('')}\n`,
  'CRLF line ends': 'From a@b Sat Nov 21 09:00:00 2026\r\nSubject: x\r\n\r\nbody\r\nFrom y\r\n',
  'a long line': `From a@b Sat Nov 21 09:00:00 2026\nSubject: ${'x'.repeat(1500)}\n\n${'y'.repeat(100_000)}\n`,
};

export const oddRcfiles: readonly string[] = [
  '',
  ':0\nmd/\n',
  ':0 c\n* ^Subject: \\/.*\nhas\nLOG="[$MATCH]\n"\n:0 b\nbody\n',
  ':0 B\n* 1^1 ^.*$\n{ }\nLOG="$=\n"\n:0 h\n|cat >out\n',
  ':0 fw\n|cat\n:0\ndefault\n',
];

/** Rcfiles that nobody means. What procmail makes of them, or something safer. */
export const brokenRcfiles: Readonly<Record<string, string>> = {
  'a block that is never closed': ':0\n{\n:0 c\nin\n',
  'a brace too many': '}\n:0\nfoo\n',
  'a recipe without an action': ':0\n* ^Subject\n',
  'flags that are none': ':0 xyz\nfoo\n',
  'a quote that is never closed': 'A="never\n:0\nfoo\n',
  words: 'this is no rcfile at all\n:0\nfoo\n',
  'a group that is never closed': ':0\n* ^Subject: (a|b\nfoo\n',
  'a bracket that is never closed': ':0\n* [a-z\nfoo\n',
  'a backslash at the end': ':0\n* hello\\',
  'an rcfile that includes a folder': 'INCLUDERC=@box@/dir\n:0\nfoo\n',
  'a folder that cannot be': ':0\n/proc/nowhere/x\n',
  'a full disk': ':0\n/dev/full\n',
};

interface KnownDifference {
  readonly rcfile: string;
  readonly mail?: string;
  /** What ours leaves. */
  readonly ours: { readonly file: string; readonly text: string };
}

/** Bugs of procmail, and where ours is safer. */
export const knownDifferences: Readonly<Record<string, KnownDifference>> = {
  'a program that does not exist loses no mail': {
    rcfile: ':0\n|nosuchprog\n',
    ours: { file: 'default', text: 'body aaa bbb' },
  },
  'a filter that does not exist leaves the mail as it is': {
    rcfile: ':0 f\n|nosuchprog\n',
    ours: { file: 'default', text: 'body aaa bbb' },
  },
  'a From_ line that is all of the mail is kept, whatever its form': {
    rcfile: ':0\nmd/\n',
    mail: 'From a@b Sat Nov 21 09:00:00 2026',
    ours: { file: 'md/new/X', text: 'From a@b' },
  },
  'a NUL ends neither field nor header': {
    rcfile: ':0 b\nbody\n',
    mail: 'From a@b Sat Nov 21 09:00:00 2026\nSubject: \0\n\nbody\n',
    ours: { file: 'body', text: 'body' },
  },
  'double quotes within backquotes within double quotes': {
    rcfile: 'LOG="`echo "a b"`\n"\n',
    ours: { file: 'log', text: 'a b' },
  },
};
