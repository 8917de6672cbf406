/** replace: new content for a part or the message. RFC 5703 section 5. */
import { fieldValue } from '../../../core/mail/header.ts';
import { Fault } from '../fault.ts';
import { fieldText } from '../generated-mail.ts';
import type { MessageVersion } from '../message.ts';
import { entityOctets, mimeEntity, replaceOctets, textEntity } from '../mime/write-part.ts';
import { parseSingleAddress } from '../single-address.ts';
import type { ActionSpec, Extension } from '../spec.ts';
import { shown } from '../text.ts';

const replaceCommand: ActionSpec = {
  name: 'replace',
  kind: 'command',
  tags: [{ name: 'mime' }, { name: 'subject', parameter: 'string' }, { name: 'from', parameter: 'string' }],
  positional: [{ name: 'replacement', type: 'string' }],
  compile(use) {
    use.compiler.needsBody = true;
    const text = use.text(0);
    const isMime = use.has('mime');
    const subject = use.tagText('subject');
    const from = use.tagText('from');
    return (run) => {
      const content = text.value(run);
      const entity = isMime ? mimeEntity(content) : textEntity(content);
      const root = run.message.tree(run.limits);
      const part = run.loops.length > 0 ? run.part : root;
      // Section 5: subject and from count for the whole message alone.
      if (part === root || part.parent === undefined) {
        run.edit(run.message.withContent(entity.description, entity.body));
        if (subject) run.edit(replaceField(run.message, 'Subject', fieldText(subject.value(run))));
        if (from) run.edit(replaceField(run.message, 'From', checkedFrom(from.value(run))));
      } else {
        const description = root.fields.all
          .filter(({ lowerName }) => lowerName.startsWith('content-') || lowerName === 'mime-version')
          .map(({ name, raw }) => ({ name, value: fieldValue(raw) }));
        run.edit(run.message.withContent(description, replaceOctets(root, part, entityOctets(entity))));
      }
      run.refreshLoops();
      run.trace?.input('did', 'replace');
    };
  },
};

function replaceField(message: MessageVersion, name: string, value: string): MessageVersion {
  return message.withoutFields(name.toLowerCase(), () => true).withField(name, value, false);
}

function checkedFrom(text: string): string {
  const parsed = parseSingleAddress(text);
  if ('error' in parsed)
    throw new Fault(`replace: specified :from address '${shown(text)}' is invalid: ${parsed.error}`);
  return fieldText(text);
}

export const replace: Extension = { name: 'replace', specs: [replaceCommand] };
