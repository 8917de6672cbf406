"""A milter on the real libmilter (python3-milter): writes down what it is told, one line of JSON each, and edits everything."""

import json
import sys

import Milter
import milter


def say(event, *facts):
    print(json.dumps([event, *facts]), flush=True)


@Milter.rejected_recipients
@Milter.header_leading_space
class Witness(Milter.Base):
    # pymilter 1.0.5 makes octets of them, which its own C part refuses.
    def setsymlist(self, stage, *macros):
        return self._ctx.setsymlist(stage, ' '.join(macros))

    @Milter.symlist('{mail_addr}', 'i')
    def envfrom(self, sender, *arguments):
        self.told('MAIL', sender, arguments, '{mail_addr}', '{mail_host}', '{client_addr}')
        return Milter.CONTINUE

    @Milter.symlist('{rcpt_mailer} {rcpt_addr}')
    def envrcpt(self, recipient, *arguments):
        self.told('RCPT', recipient, arguments, '{rcpt_mailer}', '{rcpt_addr}', '{rcpt_host}')
        return Milter.CONTINUE

    def header(self, name, value):
        say('header', name, value)
        return Milter.CONTINUE

    @Milter.noreply
    def eoh(self):
        return Milter.CONTINUE

    def body(self, chunk):
        say('body', len(chunk))
        # Once enough was seen, no more of it has to be sent.
        return Milter.SKIP

    def eom(self):
        self.chgfrom('<changed@example.org>', 'RET=HDRS ENVID=qq+2B1')
        self.addrcpt('<carol@example.test>', 'NOTIFY=NEVER ORCPT=rfc822;c@example.test')
        self.delrcpt('<bob@example.test>')
        self.addheader('X-First', ' one', 0)
        self.chgheader('Subject', 1, ' changed')
        self.replacebody(b'another body\r\n')
        self.progress()
        return Milter.CONTINUE

    def told(self, event, path, arguments, *macros):
        say(event, path, list(arguments), {name: self.getsymval(name) for name in macros})


Milter.factory = Witness
Milter.set_flags(sum([Milter.ADDHDRS, Milter.CHGHDRS, Milter.CHGBODY, Milter.ADDRCPT, Milter.ADDRCPT_PAR,
                      Milter.DELRCPT, Milter.CHGFROM, milter.SETSYMLIST]))
Milter.runmilter('witness', sys.argv[1], 60)
