/** Scripts for which Pigeonhole and we have to agree; where we differ, rules/sieve/README.md says so and why. */

const parts = `From: "Stephan Bosch" <stephan+det@Example.ORG>
To: nico@frop.example.com, "A, B" <a.b@c.example>, group: x@y.example, z@w.example;
Cc: undisclosed-recipients:;
Subject: =?utf-8?q?Frop_=C3=A9?= test
Date: Mon, 20 Jul 2009 21:44:43 +0300
Received: from a by b; Tue, 21 Jul 2009 21:44:43 -0430
Received: from c by d; Wed, 22 Jul 2009 01:02:03 +0000 (UTC)
X-A: one
X-A:  two  
X-B: multi
	line  value
X-Empty:
Message-ID: <abc@def>
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary="bb"

preamble
--bb
Content-Type: text/plain; charset=iso-8859-1
Content-Transfer-Encoding: quoted-printable

H=E9llo w=
orld
--bb
Content-Type: text/html
Content-Disposition: attachment; filename="a b.html"

<html><head><title>T</title></head><body><p>Para &amp; one</p><script>bad()</script><b>bold</b>text</body></html>
--bb
Content-Type: message/rfc822

From: in@ner.example
Subject: inner subject
Content-Type: application/octet-stream; name*=utf-8''%c3%a9.bin
Content-Transfer-Encoding: base64

aGVsbG8gaW5uZXI=
--bb--
epilogue
`.replace(/\n/g, '\r\n');

const plain = `From: a@x.org
Subject: x

body
`.replace(/\n/g, '\r\n');

export const casesWithPigeonhole: readonly {
  readonly name: string;
  readonly script: string;
  readonly message: string;
}[] = [
  {
    name: `if address :matches :all "from" "*" {fileinto "all`,
    message: parts,
    script: `require ["fileinto","variables"]; if address :matches :all "from" "*" {fileinto "all \${1}";} if address :matches :localpart "from" "*" {fileinto "lp \${1}";} if address :matches :domain "from" "*" {fileinto "d \${1}";}`,
  },
  {
    name: `if address :matches :user "from" "*" {fileinto "u `,
    message: parts,
    script: `require ["fileinto","variables","subaddress"]; if address :matches :user "from" "*" {fileinto "u \${1}";} if address :matches :detail "from" "*" {fileinto "d \${1}";} if address :matches :detail "to" "*" {fileinto "td \${1}";}`,
  },
  {
    name: `if header :matches "subject" "*" {fileinto "s \${1}`,
    message: parts,
    script: `require ["fileinto","variables"]; if header :matches "subject" "*" {fileinto "s \${1}";} if header :matches "x-a" "t*" {fileinto "x \${0}|";} if header :matches "x-b" "*" {fileinto "b \${0}|";} if header :matches "x-empty" "*" {fileinto "e \${0}|";} if header :is "x-empty" "" {fileinto "e2";} if header :contains "x-nope" "" {fileinto "nope";}`,
  },
  {
    name: `if header :count "eq" :comparator "i;ascii-numeric`,
    message: parts,
    script: `require ["fileinto","relational","comparator-i;ascii-numeric"]; if header :count "eq" :comparator "i;ascii-numeric" ["x-a","subject"] "3" {fileinto "c3";} if address :count "eq" :comparator "i;ascii-numeric" "to" "4" {fileinto "a4";} if address :count "eq" :comparator "i;ascii-numeric" "to" "3" {fileinto "a3";} if header :value "gt" "x-a" "ona" {fileinto "v";} if header :value "lt" :comparator "i;ascii-numeric" "x-a" "3" {fileinto "vn";} if header :count "ge" "x-empty" "1" {fileinto "e1";}`,
  },
  {
    name: `if header :index 1 :matches "x-a" "*" {fileinto "1`,
    message: parts,
    script: `require ["fileinto","index","variables"]; if header :index 1 :matches "x-a" "*" {fileinto "1 \${0}";} if header :index 2 :matches "x-a" "*" {fileinto "2 \${0}";} if header :index 3 :matches "x-a" "*" {fileinto "3 \${0}";} if header :index 1 :last :matches "x-a" "*" {fileinto "4 \${0}";} if address :index 1 :matches "to" "*" {fileinto "5 \${0}";}`,
  },
  {
    name: `if header :regex "subject" "^(fr)(o|op) (.*)$" {fi`,
    message: parts,
    script: `require ["fileinto","regex","variables"]; if header :regex "subject" "^(fr)(o|op) (.*)$" {fileinto "1 \${1}-\${2}-\${3}";} if header :regex :comparator "i;octet" "subject" "^(fr)" {fileinto "2";} if address :regex "from" "([a-z]+)\\\\+([[:alpha:]]*)@(.*)" {fileinto "3 \${1} \${2} \${3}";} if header :regex "x-a" "(one|two)(x)?" {fileinto "4 \${1}|\${2}|";} if header :regex "x-b" "(a|ab)(c|bcd)?" {fileinto "5 \${0}";} if header :regex "x-b" "l(i|in|ine)(e|)" {fileinto "6 \${1} \${2}";}`,
  },
  {
    name: `set "n" ""; foreverypart { if header :mime :conten`,
    message: parts,
    script: `require ["mime","foreverypart","fileinto","variables"]; set "n" ""; foreverypart { if header :mime :contenttype :matches "content-type" "*" {set "n" "\${n}|\${1}";} else {set "n" "\${n}|-";} } fileinto "\${n}";`,
  },
  {
    name: `if header :mime :anychild :contenttype "content-ty`,
    message: parts,
    script: `require ["mime","fileinto","variables"]; if header :mime :anychild :contenttype "content-type" "text/html" {fileinto "1";} if header :mime :contenttype "content-type" "text/html" {fileinto "2";} if header :mime :matches "content-type" "*" {fileinto "3 \${1}";} if exists :mime :anychild "content-disposition" {fileinto "4";} if address :mime :anychild "from" "in@ner.example" {fileinto "5";} if header :mime :anychild :matches "subject" "inner*" {fileinto "6";}  if header :mime :type :matches "content-disposition" "*" {fileinto "7";} if header :mime :anychild :type :matches "content-disposition" "*" {fileinto "8 \${1}";} if header :mime :anychild :subtype :matches "content-disposition" "*" {fileinto "9 \${1}";}`,
  },
  {
    name: `addheader "X-A" "zero"; if header :count "eq" :com`,
    message: parts,
    script: `require ["editheader","fileinto","variables","mime","relational","comparator-i;ascii-numeric"]; addheader "X-A" "zero"; if header :count "eq" :comparator "i;ascii-numeric" "x-a" "3" {fileinto "3";} deleteheader :contains "x-a" ["o"]; if exists "x-a" {fileinto "still";} addheader "Subject" "Ünï"; if header :matches "subject" "*" {fileinto "s \${1}";} deleteheader :value "ge" :comparator "i;ascii-numeric" "x-a" "1"; if exists "x-a" {fileinto "y";}`,
  },
  {
    name: `set :upper "a" "aéB"; set :lower :upperfirst "b" "`,
    message: parts,
    script: `require ["variables","fileinto"]; set :upper "a" "aéB"; set :lower :upperfirst "b" "ABC dEF"; set :length "c" "é€x"; set :quotewildcard "d" "a*b?c\\\\d"; set :lowerfirst :upper "e" "ABC"; fileinto "\${a} \${b} \${c} \${d} \${e} \${undefined}| \${a} \${A} \${1}|\${0}|";`,
  },
  {
    name: `set "a" "\${hex:24}{b}"; set "b" "x"; fileinto "\${a`,
    message: parts,
    script: `require ["variables","fileinto","encoded-character"]; set "a" "\${hex:24}{b}"; set "b" "x"; fileinto "\${a} \${unicode:e9}\${hex:c3 a9} \${hex:zz} \${} \${a.} \${1x} $\${b} \${b";`,
  },
  {
    name: `set :encodeurl "a" "a b/é&?"; set :quotewildcard :`,
    message: parts,
    script: `require ["variables","fileinto","enotify"]; set :encodeurl "a" "a b/é&?"; set :quotewildcard :length "b" "a*"; fileinto "\${a} \${b}";`,
  },
  {
    name: `if ihave "nope" { frop "x"; } elsif ihave ["copy"]`,
    message: parts,
    script: `require ["fileinto","ihave"]; if ihave "nope" { frop "x"; } elsif ihave ["copy"] { fileinto :copy "c"; } if allof(ihave "nope", gurk "x") {keep;} if not ihave "nope" {fileinto "d";} `,
  },
  { name: `keep; error "failed";`, message: parts, script: `require ["ihave"]; keep; error "failed";` },
  {
    name: `redirect :copy "x@y.example"; fileinto :copy "a"; `,
    message: parts,
    script: `require ["copy","fileinto"]; redirect :copy "x@y.example"; fileinto :copy "a"; discard;`,
  },
  {
    name: `fileinto "a"; stop; fileinto "b";`,
    message: parts,
    script: `require ["fileinto"]; fileinto "a"; stop; fileinto "b";`,
  },
  {
    name: `setflag ["a","b c","\\\\Seen \\\\nonsense"]; addflag "`,
    message: parts,
    script: `require ["fileinto","imap4flags"]; setflag ["a","b c","\\\\Seen \\\\nonsense"]; addflag "A"; addflag "d"; removeflag "b"; fileinto "x"; fileinto :flags ["\\\\Deleted","q"] "y"; removeflag ["c"]; keep;`,
  },
  {
    name: `setflag "v" "a b"; addflag "v" "c"; removeflag "v"`,
    message: parts,
    script: `require ["imap4flags","variables","relational","comparator-i;ascii-numeric","fileinto"]; setflag "v" "a b"; addflag "v" "c"; removeflag "v" "b"; if hasflag "v" "c" {fileinto "1 \${v}";} if hasflag :contains "v" ["z","a"] {fileinto "2";} if hasflag :count "eq" :comparator "i;ascii-numeric" ["v"] "2" {fileinto "3";} if hasflag :is "a" {fileinto "4";} setflag "x y"; if hasflag :matches "?" {fileinto "5";} if hasflag ["v","w"] "C" {fileinto "6";} set "v" "p \\\\seen p q"; if hasflag :count "eq" :comparator "i;ascii-numeric" "v" "3" {fileinto "7";}`,
  },
  {
    name: `if size :over 500 {keep;} else {discard;}`,
    message: parts,
    script: `if size :over 500 {keep;} else {discard;}`,
  },
  {
    name: `if size :under 1K {keep;} else {discard;}`,
    message: parts,
    script: `if size :under 1K {keep;} else {discard;}`,
  },
  { name: `reject "no";`, message: parts, script: `require ["reject"]; reject "no";` },
  {
    name: `notify "mailto:x@y.example";`,
    message: parts,
    script: `require ["enotify"]; notify "mailto:x@y.example";`,
  },
  {
    name: `if valid_notify_method ["mailto:x@y.z","mailto:a"]`,
    message: parts,
    script: `require ["enotify","fileinto","variables"]; if valid_notify_method ["mailto:x@y.z","mailto:a"] {fileinto "1";} if valid_notify_method "mailto:x@y.z" {fileinto "2";} if notify_method_capability "mailto:x@y.z" "online" "maybe" {fileinto "3";} if notify_method_capability "mailto:x@y.z" "nope" "maybe" {fileinto "4";} if valid_notify_method "mailto:x@y.z?subject=a%20b&body=%zz" {fileinto "5";}  if valid_notify_method "xmpp:x" {fileinto "6";} `,
  },
  {
    name: `if string :matches "abcabc" "*b*" {fileinto "\${1}|`,
    message: parts,
    script: `require ["fileinto","variables"]; if string :matches "abcabc" "*b*" {fileinto "\${1}|\${2}";} if string :matches "aXbXc" "?X*c" {fileinto "\${1}|\${2}";} if string :matches "a*b" "a\\\\*b" {fileinto "esc \${0}";} if string :matches "" "*" {fileinto "empty \${0}|\${1}|";} if string :is ["", "x"] "" {fileinto "e";} if string :contains "" "" {fileinto "cc";}`,
  },
  {
    name: `if duplicate {fileinto "d";} else {fileinto "n";} `,
    message: parts,
    script: `require ["duplicate","fileinto"]; if duplicate {fileinto "d";} else {fileinto "n";} if duplicate :uniqueid "x" {fileinto "e";}`,
  },
  {
    name: `if spamtest :value "eq" :comparator "i;ascii-numer`,
    message: parts,
    script: `require ["spamtest","virustest","relational","comparator-i;ascii-numeric","fileinto"]; if spamtest :value "eq" :comparator "i;ascii-numeric" "0" {fileinto "0";} if spamtest :contains "" {fileinto "c";} if virustest :value "eq" :comparator "i;ascii-numeric" "0" {fileinto "v0";}`,
  },
  {
    name: `if mailboxexists "nope" {fileinto "x";} fileinto :`,
    message: parts,
    script: `require ["fileinto","mailbox"]; if mailboxexists "nope" {fileinto "x";} fileinto :create "n"; fileinto "INBOX/x"; fileinto "";`,
  },
  {
    name: `fileinto "a/../b"; fileinto "a//b"; fileinto "~x";`,
    message: parts,
    script: `require ["fileinto"]; fileinto "a/../b"; fileinto "a//b"; fileinto "~x"; `,
  },
  {
    name: `redirect "a@b.c"; redirect "A@b.C"; redirect "<x@y`,
    message: parts,
    script: `redirect "a@b.c"; redirect "A@b.C"; redirect "<x@y.z>"; redirect "Foo <p@q.r>";`,
  },
  {
    name: `if string :matches "x" "y" {} if string :matches "`,
    message: plain,
    script: `require ["fileinto","variables"]; if string :matches "x" "y" {} if string :matches "ab" "*" {if header :contains "subject" "x" {fileinto "\${1}";}} if string :is "a" "a" {fileinto "k\${1}";} if string :matches "q" "z" {} fileinto "l\${1}";`,
  },
  {
    name: `set "a" "1"; if not string :matches "foo" "b*" { f`,
    message: plain,
    script: `require ["fileinto","variables"]; set "a" "1"; if not string :matches "foo" "b*" { fileinto "\${a}-\${0}"; }`,
  },
  {
    name: `if string :value "gt" ["b","a"] ["b","0"] {fileint`,
    message: plain,
    script: `require ["fileinto","variables","relational"]; if string :value "gt" ["b","a"] ["b","0"] {fileinto "1";} if string :count "eq" ["", "x", "y"] "2" {fileinto "2";} if string :value "eq" :comparator "i;ascii-numeric" "007x" "7" {fileinto "3";} `,
  },
  {
    name: `if header :is :comparator "i;ascii-numeric" "subje`,
    message: plain,
    script: `require ["fileinto","comparator-i;ascii-numeric","relational"]; if header :is :comparator "i;ascii-numeric" "subject" "y" {fileinto "inf";} if header :value "gt" :comparator "i;ascii-numeric" "subject" "99999999999999999999999" {fileinto "big";} `,
  },
  {
    name: `if header "subject" ["a","x"] {discard;} elsif tru`,
    message: plain,
    script: `if header "subject" ["a","x"] {discard;} elsif true {keep;}`,
  },
  {
    name: `if not exists ["subject","nope"] {redirect "q@w.e"`,
    message: plain,
    script: `if not exists ["subject","nope"] {redirect "q@w.e";} else {stop;}`,
  },
  {
    name: `fileinto "a"; if true { fileinto "b"; if false {fi`,
    message: plain,
    script: `require "fileinto"; fileinto "a"; if true { fileinto "b"; if false {fileinto "c";} else {stop;} } fileinto "d";`,
  },
  {
    name: `set "x" "\${unknown}"; if string "\${x}" "" {fileint`,
    message: plain,
    script: `require ["fileinto","variables"]; set "x" "\${unknown}"; if string "\${x}" "" {fileinto "e";} set "\${x}" "y";`,
  },
  {
    name: `if header :matches "subject" ["?","*"] {fileinto "`,
    message: plain,
    script: `require ["fileinto"]; if header :matches "subject" ["?","*"] {fileinto "q";} if header :matches "subject" "??" {fileinto "r";} if header :matches "subject" "" {fileinto "s";}`,
  },
  {
    name: `if header :matches :comparator "i;octet" "subject"`,
    message: plain,
    script: `require ["fileinto","variables"]; if header :matches :comparator "i;octet" "subject" "X" {fileinto "o";} if header :matches ["from","subject"] "*" {fileinto "\${1}";}`,
  },
  {
    name: `debug_log "hi"; fileinto "z";`,
    message: plain,
    script: `require ["vnd.dovecot.debug","fileinto"]; debug_log "hi"; fileinto "z";`,
  },
  { name: `return;`, message: plain, script: `require ["include"]; return;` },
  {
    name: `set "u" "mailto:q@w.e"; notify :importance "1" :me`,
    message: plain,
    script: `require ["enotify","variables"]; set "u" "mailto:q@w.e"; notify :importance "1" :message "M" :from "x@y.z" "\${u}?subject=f&cc=d@e.f";`,
  },
  {
    name: `if true {fileinto "a";} reject "x";`,
    message: plain,
    script: `require ["reject","fileinto"]; if true {fileinto "a";} reject "x";`,
  },
  { name: `reject "";`, message: plain, script: `require ["reject"]; reject ""; ` },
  {
    name: `if envelope :all :is ["from","to"] "b@y.example" {`,
    message: plain,
    script: `require "envelope"; if envelope :all :is ["from","to"] "b@y.example" {redirect "ok@ok.ok";} if envelope "from" "" {keep;}`,
  },
  {
    name: `if header :is ["Subject", "from:"] "x" {discard;}`,
    message: plain,
    script: `if header :is ["Subject", "from:"] "x" {discard;}`,
  },
  {
    name: `set "a" "b" ;set :length :upper "c" "\${a}d"; if st`,
    message: plain,
    script: `require "variables"; set "a" "b" ;set :length :upper "c" "\${a}d"; if string "\${c}" "2" {discard;}`,
  },
  {
    name: `set "a" text: x .y ..z . ; if string :contains "\${`,
    message: plain,
    script: `require ["fileinto","variables"]; set "a" text:
x
.y
..z
.
; if string :contains "\${a}" "
.z" {fileinto "dot";}`,
  },
  {
    name: `# comment /* multi */ require /* x */ "fileinto" ;`,
    message: plain,
    script: `# comment
/* multi
 */ require /* x */ "fileinto" ; fileinto /* y */ "a" # z
;`,
  },
  { name: `keep; keep;`, message: plain, script: `keep; keep; require "fileinto";` },
  { name: `if anyof(true) {discard;}`, message: plain, script: `if anyof(true) {discard;}` },
  {
    name: `if allof(not true, true) {discard;} elsif not anyo`,
    message: plain,
    script: `if allof(not true, true) {discard;} elsif not anyof(false, false) {redirect "a@b.c";}`,
  },
  {
    name: `if size :over 1G {discard;} if size :under 1k {sto`,
    message: plain,
    script: `if size :over 1G {discard;} if size :under 1k {stop;}`,
  },
  {
    name: `redirect "a@b.c"; redirect "d@e.f"; redirect "g@h.`,
    message: plain,
    script: `redirect "a@b.c"; redirect "d@e.f"; redirect "g@h.i"; redirect "j@k.l"; redirect "m@n.o";`,
  },
  {
    name: `if hasflag "x" {discard;} setflag ""; addflag [" a`,
    message: plain,
    script: `require ["fileinto","imap4flags"]; if hasflag "x" {discard;} setflag ""; addflag [" a  b ", ""]; keep :flags ["c", "\\\\Recent", "\\\\*", "a b"];`,
  },
  {
    name: `if currentdate :value "ge" "year" "2020" {discard;`,
    message: plain,
    script: `require ["date","relational"]; if currentdate :value "ge" "year" "2020" {discard;}`,
  },
  {
    name: `redirect :copy :copy "a@b.c";`,
    message: plain,
    script: `require ["copy"]; redirect :copy :copy "a@b.c";`,
  },
  {
    name: `fileinto :copy :create :flags "a" "x"; fileinto :f`,
    message: plain,
    script: `require ["fileinto","mailbox","copy","imap4flags"]; fileinto :copy :create :flags "a" "x"; fileinto :flags "b" :create "y";`,
  },
  {
    name: `if address :matches :user "from" "*" {fileinto "\${`,
    message: plain,
    script: `require ["subaddress","fileinto","variables"]; if address :matches :user "from" "*" {fileinto "\${1}";} if address :detail "from" "" {fileinto "nd";}`,
  },
  {
    name: `if environment :contains "name" "" {fileinto "n";}`,
    message: plain,
    script: `require ["environment","fileinto"]; if environment :contains "name" "" {fileinto "n";} if environment :is "phase" "during" {fileinto "p";} if environment "nope" "" {fileinto "q";}`,
  },
  {
    name: `if header :count "gt" "subject" "0" {discard;}`,
    message: plain,
    script: `require ["relational"]; if header :count "gt" "subject" "0" {discard;}`,
  },
  {
    name: 'the older flags: mark and unmark',
    message: plain,
    script: `require ["imapflags","fileinto"]; setflag ["\\\\Seen","foo"]; addflag "bar"; mark; unmark; fileinto "x";`,
  },
  {
    name: 'the older notify, and denotify',
    message: plain,
    script: `require ["notify"]; notify :options "a@b.org" :id "foo" :high; notify :options "c@b.org" :id "bar" :low; denotify :matches "f?o"; denotify :is "BAR";`,
  },
  {
    name: 'older and newer extension together',
    message: plain,
    script: `require ["vnd.dovecot.duplicate","duplicate"]; if duplicate {discard;}`,
  },
  {
    name: 'nobody is notified twice',
    message: plain,
    script: `require ["enotify"]; notify "mailto:a@b.org"; notify :message "other" "mailto:a@b.org"; notify "mailto:c@b.org";`,
  },
];
