/** Filters, each of which shows something that maildrop does; `@box@` is the folder that they run in. */
import { readFileSync } from 'node:fs';

export const caseMail = `Return-Path: <env@x.example>
Received: from a.example by b.example
\tfor <bob@b.example>; Sat, 21 Nov 2026 09:00:00 +0000
From: Ann Example <ann@example.org>
To: bob@b.example (Bob B), al@c.example
Cc: Copy <copy@e.example>
Subject: hello world foo
X-Long: one
\ttwo
Message-ID: <1@x.example>

body aaa bbb
second line
From here
>From there
`;

/** Parted by lines of `%%`. */
export const cases: readonly string[] = readFileSync(new URL('maildrop-cases.txt', import.meta.url), 'utf8')
  .split(/^%%\n/m)
  .slice(0, -1);

export const mails: Readonly<Record<string, string>> = {
  'no header': '\nbody\n',
  'no body': 'Subject: x\n\n',
  'no empty line': 'Subject: x\n',
  'a short one': 'Subject: x\n\nbody\n',
  'CRLF line ends': 'Subject: x\r\nTo: y@z.example\r\n\r\nbody\r\nFrom y\r\n',
  'null sender': 'Return-Path: <>\nSubject: x\n\nbody\n',
  'octets of all kinds': `Subject: \x01 \xe4 \f\n\tfolded\n\n${Array.from({ length: 255 }, (_, octet) => String.fromCharCode(octet + 1)).join('')}\n`,
  MIME: 'From: =?utf-8?q?J=C3=B6rg?= <j@d.example>\nTo: "A, B" <a@b.example>, undisclosed: ;\nSubject: =?iso-8859-1?q?gr=FCn?= x\nMime-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\npreamble\n--b\nContent-Type: text/plain; charset=iso-8859-1\nContent-Transfer-Encoding: quoted-printable\n\ngr=FCn soft=\n line\n\n--b\nContent-Type: text/plain\nContent-Transfer-Encoding: base64\n\nYmFzZSB0ZXh0Cg==\n--b\nContent-Type: image/png\nX-Part: image\n\nnothing of text\n--b--\n',
};

/** What patterns see of a mail, line by line. */
export const mailFilters: readonly string[] = [
  'to "box"\n',
  'to "md"\n',
  'foreach /.+/:h\n{\n  echo "[$MATCH]"\n}\nexit\n',
  'foreach /.+/:b\n{\n  echo "[$MATCH]"\n}\nexit\n',
  'echo "$SIZE $LINES $FROM"\nxfilter "cat"\necho "$SIZE $LINES"\nto "|cat >out"\n',
];

/** Command lines with a filter of their own. */
export const lines: readonly {
  options?: readonly string[];
  positional?: readonly string[];
  filter: string;
}[] = [
  {
    positional: ['one', 'two words'],
    filter: 'echo "$1|$2|$3"\ninclude "included"\necho "$INCLUDED"\nto "box"\n',
  },
  { options: ['-f', 'me@x.example'], filter: 'echo "$FROM"\nto "box"\n' },
  { options: ['-fme@x.example', '-V', '0'], filter: 'echo "$FROM"\nto "box"\n' },
  { options: ['-A', 'X-One: 1', '-A', 'X-Two: 2'], filter: '/^X-T.*/\necho "$MATCH"\nto "box"\n' },
  { options: ['-m'], filter: 'echo "hi"\nEXITCODE=5\n' },
  { options: ['-m'], filter: 'to "box"\n' },
  { options: ['-m'], filter: 'A=`echo x`\n' },
  { options: ['-m'], filter: 'if (/^Subject: hello/)\n{\n  echo "511 no"\n  EXITCODE=100\n  exit\n}\n' },
  { options: ['-w', '90'], filter: 'to "box"\n' },
  { options: ['--'], filter: 'to "box"\n' },
];

/** Bugs of maildrop, and where ours is safer. */
export const knownDifferences: Readonly<
  Record<
    string,
    { readonly filter: string; readonly mail?: string; readonly code: number; readonly stdout: string }
  >
> = {
  'a last line without an end is searched': {
    filter: 'if (/last/:b)\n{\n  echo "found"\n}\nexit\n',
    mail: 'Subject: x\n\nlast',
    code: 0,
    stdout: 'found\n',
  },
  'a part ends its last line': {
    filter: 'foreach /.+/:b\n{\n  echo "[$MATCH]"\n}\nexit\n',
    mail: 'Mime-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\none\n--b\n\ntwo\n--b--\n',
    code: 0,
    stdout: '[one]\n[two]\n',
  },
  'a program that a signal ends has not taken the mail': {
    filter: 'to "|cat >/dev/null; kill -9 $$"\n',
    code: 75,
    stdout: '',
  },
  'a shell that does not exist loses no mail': {
    filter: 'SHELL="/bin/nosuchshell"\nto "|cat"\n',
    code: 75,
    stdout: '',
  },
  'GDBM is not there, and says so': { filter: 'gdbmclose\nto "box"\n', code: 75, stdout: '' },
  'a number that is nothing but zeros is 0': { filter: 'echo ! "0.00"\nexit\n', code: 0, stdout: '1\n' },
  'a loop without an end': { filter: 'A=1\nwhile ($A)\n  A=1\nto "box"\n', code: 75, stdout: '' },
  'a loop without an end that nothing catches': {
    filter: 'exception {\n  while (1)\n    A=1\n}\nto "box"\n',
    code: 75,
    stdout: '',
  },
  'a value that doubles for ever': { filter: 'A="xx"\nwhile (1)\n  A="$A$A"\n', code: 75, stdout: '' },
  'a pattern that would run away': {
    filter:
      'A="aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab"\necho $A =~ /^(a+)+$/\nexit\n',
    code: 0,
    stdout: '0\n',
  },
};

/** Filters that nobody means: the mail waits. */
export const brokenFilters: Readonly<Record<string, string>> = {
  'a NUL': 'to "box"\0\n',
  'a quote that is never closed': 'A="x\nto "box"\n',
  'a pattern that is never closed': '/x\nto "box"\n',
  'a brace too many': 'to "box"\n}\n',
  'a block that is never closed': 'if (1)\n{\n  to "box"\n',
  'words that mean nothing': 'if this somewhere\n',
  'a line of a megabyte': `A="${'x'.repeat(1024 * 1024)}\n`,
  'a megabyte of parentheses': `echo ${'('.repeat(1024 * 1024)}\n`,
  'a megabyte of blocks': '{\n'.repeat(512 * 1024),
  'a megabyte of negations': `echo ${'!'.repeat(1024 * 1024)}1\n`,
  'a megabyte of elsif': `if (0)\n;\n${'elsif (0)\n;\n'.repeat(80_000)}`,
  'octets of chance': String.fromCharCode(...Array.from({ length: 2000 }, (_, n) => (n * 7919 + 13) % 256)),
};
