/** The shorthands of expressions: `^TO_`, `^TO`, `^FROM_DAEMON`, `^FROM_MAILER`. procmailrc(5), "Miscellaneous". */

const headerStart = '(^((Original-)?(Resent-)?(To|Cc|Bcc)|(X-Envelope|Apparently(-Resent)?)-To):';
const daemonEnd = '(([^).!:a-z0-9][-_a-z0-9]*)?[%@>\t ][^<)]*(\\(.*\\).*)?)?$';
const daemonStart = '(((Resent-)?(From|Sender)|X-Envelope-From):|>?From )([^>]*[^(.%@a-z0-9])?(';

/** The longer names first, for they begin with the shorter ones. */
const macros: readonly (readonly [string, string])[] = [
  ['^TO_', `${headerStart}(.*[^-a-zA-Z0-9_.])?)`],
  ['^TO', `${headerStart}(.*[^a-zA-Z])?)`],
  [
    '^FROM_DAEMON',
    `(^(Mailing-List:|Precedence:.*(junk|bulk|list)|To: Multiple recipients of |${daemonStart}Post(ma?(st(e?r)?|n)|office)|(send)?Mail(er)?|daemon|m(mdf|ajordomo)|n?uucp|LIST(SERV|proc)|NETSERV|o(wner|ps)|r(e(quest|sponse)|oot)|b(ounce|bs\\.smtp)|echo|mirror|s(erv(ices?|er)|mtp(error)?|ystem)|A(dmin(istrator)?|MMGR|utoanswer))${daemonEnd}@next@))`,
  ],
  [
    '^FROM_MAILER',
    `(^${daemonStart}Post(ma(st(er)?|n)|office)|(send)?Mail(er)?|daemon|mmdf|n?uucp|ops|r(esponse|oot)|(bbs\\.)?smtp(error)?|s(erv(ices?|er)|ystem)|A(dmin(istrator)?|MMGR))${daemonEnd}@next@)`,
  ],
];

/** @param nextLine what the daemon expressions ask of the line behind: that it is no quoted one */
export function expandMacros(expression: string, nextLine = '([^>]|$)'): string {
  let expanded = expression;
  for (const [name, text] of macros)
    expanded = expanded.replaceAll(
      name,
      text.replace('@next@', () => nextLine),
    );
  return expanded;
}
