/** enclose: the message as an attachment of a new one. RFC 5703 section 6. */
import { fieldText } from '../generated-mail.ts';
import { entityOctets, multipart, textEntity } from '../mime/write-part.ts';
import type { ActionSpec, Extension } from '../spec.ts';

/** What the new message keeps of the old header: all that does not describe the content. */
const encloseCommand: ActionSpec = {
  name: 'enclose',
  kind: 'command',
  tags: [
    { name: 'subject', parameter: 'string' },
    { name: 'headers', parameter: 'string-list' },
  ],
  positional: [{ name: 'text', type: 'string' }],
  compile(use) {
    use.compiler.needsBody = true;
    const text = use.text(0);
    const subject = use.tagText('subject');
    const headers = use.tagTexts('headers');
    return (run) => {
      const whole = run.message.whole();
      const note = entityOctets(textEntity(text.value(run)));
      const attached = Buffer.concat([
        Buffer.from('Content-Type: message/rfc822\r\nContent-Disposition: attachment\r\n\r\n'),
        whole,
      ]);
      const entity = multipart('mixed', [note, attached]);
      let message = run.message.withContent(entity.description, entity.body);
      if (subject)
        message = message
          .withoutFields('subject', () => true)
          .withField('Subject', fieldText(subject.value(run)), false);
      for (const line of headers?.values(run) ?? []) {
        const colon = line.indexOf(':');
        const name = line.slice(0, colon).trim();
        if (colon < 1 || !/^[\x21-\x39\x3b-\x7e]+$/.test(name)) continue;
        message = message
          .withoutFields(name.toLowerCase(), () => true)
          .withField(name, fieldText(line.slice(colon + 1)), true);
      }
      run.edit(message);
      run.refreshLoops();
      run.trace?.input('did', 'enclose');
    };
  },
};

export const enclose: Extension = { name: 'enclose', specs: [encloseCommand] };
