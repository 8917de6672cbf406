/** Options of formail, and mails that each of them is given. */

const from = 'From me@x.example Sat Nov 21 09:00:00 2026\n';

export const mails: Readonly<Record<string, string>> = {
  plain: `${from}Return-Path: <env@x.example>\nFrom: Ann Example <ann@example.org>\nTo: bob@b.example, al@c.example\nSubject: hello\n\tfolded  line\nMessage-ID: <1@x>\nReferences: <0@x>\n\t<00@x>\nDate: Sat, 21 Nov 2026 09:00:00 +0000\nX-Loop: me\nReceived: one\nReceived: two\n by three\nX-A:empty\nX-B:\nX-C: \n\nbody\nFrom here on\n>From quoted\nSubject: in the body\n\nend`,
  'no From_ line':
    'Reply-To: list (a (nested) comment) @ example . org\nSender: s@y.example\nFrom: "Q, uoted" <q@example.org>\nSubject: Re: hello\nMessage-Id: <2@x>\n\nbody\n\n',
  'no header': '\nbody\nmore\n',
  empty: '',
  'only a header': `${from}Subject: x\n`,
  'no empty line': `${from}Subject: x\nthis is no field\nbody\n`,
  'no line end': 'Subject: x\n\nbody',
  'empty lines first': '\n\n\nSubject : spaced\t: name\nsubject: again\nSUBJECT: third\n\nz\n',
  'continued From_': `From a!b!me Sat Nov 21 09:00:00 2026 remote from c\n>From other Fri Nov 20 09:00:00 2026 forwarded by d\nSubject: x\n\nb\n`,
  'null sender': 'Return-Path: <>\nFrom: MAILER-DAEMON (Mail)\nSubject: bounce\n\nx\n',
  'local sender': `From root Sat Nov 21 09:00:00 2026\nFrom: root\nTo: x\n\nx\n`,
  addresses:
    'From: group: a@b.example, c@d.example;\nReply-To: <@relay.example:x@y.example>\nErrors-To: <a,b@c.example>\nPath: a!b!c\nReturn-Receipt-To: x@[1.2.3.4]\nResent-From: r@r.example\nResent-Reply-To: rr\nResent-Sender: "a b"@c.d\n\n\n',
  'more addresses':
    'From: Joe Brown\nSender: joe@host\nPath: me@host.UUCP\nReturn-Path: <one> two <three@x.example>\n\n\n',
  'odd octets': `From: a@b.example\nSubject: \x80\xff\x01\ttab\fform\nX\x7f: y\n\n\x00\x01\r\nline\r\n`,
  'CRLF line ends': 'From: a@b.example\r\nSubject: x\r\n\r\nbody\r\n',
  'content length': `${from}Content-Length: 24\nSubject: x\n\nFrom a b c\n\nFrom d e f\n\nFrom me@x Sat\n\nrest`,
  'content length too long': `${from}Content-Length: 999\n\nbody\n`,
  'content length short': `${from}Content-Length: 2\nContent-Length: 7\n\nbody\nFrom a b\n`,
};

const mailbox = [1, 2, 3].map(
  (n) =>
    `From m${n}@x Sat Nov 21 0${n}:00:00 2026\nSubject: ${n}\nMessage-ID: <${n % 2}@x>\n\nbody ${n}\nFrom within\nSubject: no\nTo: header\n\n`,
);

/** Inputs that hold several mails. */
export const boxes: Readonly<Record<string, string>> = {
  mailbox: mailbox.join(''),
  'no empty line between': mailbox.map((mail) => mail.trimEnd()).join('\n'),
  digest: `From d@x Sat Nov 21 09:00:00 2026\nSubject: digest\nFrom: d@x.example\n\nintro\n\nFrom: one@x.example\nSubject: one\n\ntext\n\nDate: today\nX-Other: y\nSubject: two\n\nmore\n\nFrom: three\n\nNothing: here\nnot a header\n\nend\n`,
  articles: `Article 1 of x:\nFrom: a@x.example\nSubject: a\n\nbody\n\nArticle 2 of y:\nSubject: b\nFrom: b\n\nbody\n`,
  postmarks: `From a b\nX: 1\n\n\nFrom c\nX: 2\n\nFrom\t d e f\nY: 3\n\nFrom  d\te f\nY: 3\nZ: 4\n\nFrom  : field\nZ: 5\n\n`,
  plain: mails.plain!,
  'content length': mails['content length']!,
  empty: '',
};

/** For -B alone: formail waits for the start of such a file for ever. */
export const babyl = `BABYL OPTIONS:\nVersion: 5\n\x1f\f\n0, seen,,\nSummary-line: x\nMail-from: From a@x Sat Nov 21 09:00:00 2026\nFrom: a@x.example\nSubject: a\n\n*** EOOH ***\nFrom: a@x.example\nSubject: a\n\nbody a\n\x1f\f\n1,,\nFrom: b@x.example\nSubject: b\n\n*** EOOH ***\nSubject: b\n\nbody b\n\x1f`;

export const babylLines: readonly (readonly string[])[] = [
  ['-Bs'],
  ['-B', '-1', '-s'],
  ['-Bf', '-s'],
  ['+1', '-B', '-s'],
  ['-Bx', 'Subject:', '-s'],
];

const words = (line: string) => line.split(' ').map((word) => word.replaceAll('_', ' ').replaceAll('""', ''));

/** A line each, words parted by blanks; `_` is a blank, `""` nothing. */
export const optionLines: readonly (readonly string[])[] = `
-f
-b
-bf
-c
-cf
-z
-zc
-zf
-p >>
-p |_ -b
-Y
-Yf
-r
-rt
-rk
-rkb
-rtk
-rbk
-rc
-rz
-rt -a Resent-
-a Resent-
-ra Resent-
-a resent- -tr
-rf
-r -i Subject:
-r -i Subject:_new
-r -I Subject:_new
-r -I Subject:
-r -i To:
-r -i To:_x@y
-r -A X-Loop:_me@here
-r -a From:_me -A X:_1
-rk -p :_
-r -i Sub
-r -R Subject: Topic:
-r -x To:
-rx To: -X Subject:
-rt -zxTo:
-x Subject:
-xSubject:
-x Sub
-x Subject: -x From:
-x subject: -X FROM:
-X ""
-x ""
-X Received:
-x Received:
-cx Subject:
-zx Subject:
-czx Subject:
-zX X-
-X X- -x Subject:
-kX From: -X Subject:
-k -x From:
-kX Content-Length:
-kbX From:
-x From_
-X From_
-X From
-fx X-B: -x X-C:
-i Subject:_new
-i Subject:
-i X-
-i Received:_x
-i From_
-i From_other@x_now
-I Subject:_new
-I Subject:
-I ""
-i ""
-I X-
-I From_
-I From_x@y_now
-I Received: -I X- -fA Y:_1
-A X-New:_1
-A X-New:
-A From_x@y_now
-A X-New:_1 -A X-New:_2 -a X-New:_3
-a Subject:_other
-a X-New:_1
-a X-New:
-a Message-ID:
-a message-id:
-a Resent-Message-ID:
-a From_
-a From_x
-fa From_
-a Date:
-a Date: -f
-a Date:_x
-a From_ -I From_
-a From_ -i From_
-a From_ -I From_x_y
-R Subject: Topic:
-R Subject:Topic:
-R Subject:_Topic:
-R Sub Foo
-R X- Y-
-R X- ""
-R X-A: ""
-R From_ X-From_:
-R From_ Mail-From:
-R Return-Path: From_
-R Received: From_
-R Subject: Foo
-R Sub Foo:
-R Sub Topic:_x
-R Received: X-R: -R Subject: X-S:
-u Received:
-U Received:
-u X-
-U X-
-u ""
-U ""
-u Subject:
-U Subject:
-u Received: -U Subject:
-u Received: -i X- -I Date: -R To: Cc: -A Z:_1 -a Y:_2
-u Received: -U Received:
-l folder
-l a_very_long_name_of_a_folder_that_is_more_than_sixty_one_characters_long
-fl folder
-rl folder
-rkl folder
-lx -b
-q
-q-
-qf
-h
-v
-k
-kf
-kr -s
-e
-d
-m 3
+1
-1
-n 1
-A ""
-A Subject
-A Sub_ject:
-a Sub
-x Sub_ject
-x Sub_ject:
-x :
-x
-R
-R Subject:
-R Subject: :
-R Subject: a_b
-l
-p
-D
-D 10
-D x y
-g
-
x
-fx
-lf -x Subject:
`
  .trim()
  .split('\n')
  .map(words);

/** With -s: what splits a mailbox. */
export const splitLines: readonly (readonly string[])[] = `
-s
-fs
-bs
-es
-ds
-eds
-des
-Ys
-dYs
-m 1 -s
-m 3 -s
-m 4 -ds
-m 1 -ds
-m 1 -es
-m 5 -des
+1 -s
+1 -ds
+9 -s
-1 -s
-2 -s
+1 -1 -s
+1 -1 -ds
-1 +2 -es
-x Subject: -s
-X From: -ds
-r -s
-rk -s
-rkb -ds
-l box -s
-l box -ds
-rl box -s
-I Subject: -s
-u Subject: -A X:_1 -s
-a From_ -ds
-cz -ds
-D 100 @cache@ -s
-D 100 @cache@ -ds
-rD 100 @cache@ -s
-D 100 @cache@ -x Subject: -s
+1 -D 100 @cache@ -s
-1 -D 100 @cache@ -s
-p >> -s
-ns
-n1 -s
-n 2 -s
-n
-q- -s
`
  .trim()
  .split('\n')
  .map(words);

/** Caches that -D begins with. */
export const caches: Readonly<Record<string, string>> = {
  empty: '',
  known: '<0@x>\0<1@x>\0\0',
  'known at the start': '<1@x>\0\0',
  'another that begins so': '<1@x>y\0<1@\0\0',
  full: `${'<aaaaaaaa@x>\0'.repeat(8)}\0`,
  'written over': '<c@x>\0\0ld@x>\0<old@x>\0<1@x>\0\0',
  'written over, not known': '<c@x>\0\0ld@x>\0<old@x>\0<older@x>\0',
  'no end': '<1@x>',
  'no end of another': '<c@x>\0<d@x',
  NULs: '\0\0\0\0\0\0',
};

export const cacheLines: readonly (readonly string[])[] = [
  ['-D', '100', '@cache@'],
  ['-D', '10', '@cache@'],
  ['-D0', '@cache@'],
  ['-rD', '100', '@cache@'],
  ['-rtD', '8192', '@cache@'],
  ['-I', 'Message-ID:', '-D', '100', '@cache@'],
  ['-x', 'Subject:', '-D', '100', '@cache@'],
];
