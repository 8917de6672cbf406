/** The edits of a plugin's answer, checked and copied. */
import { answerLimits } from '../base/limits/pipeline.ts';
import { checkEdit } from '../mail/apply-edits.ts';
import type { Edit, EditType } from '../mail/edit.ts';
import { BadAnswer } from './bad-answer.ts';
import { readArray, readNumber, readObject, readText } from './read-value.ts';

/** What a list of edits may touch: a copy for one recipient has no envelope to change. */
export interface EditRights {
  readonly message: boolean;
  readonly sender: boolean;
  readonly recipients: boolean;
}

/** Edits of one copy. */
export const copyRights: EditRights = { message: true, sender: false, recipients: false };

/**
 * Not frozen, for no plugin is shown them, and what is frozen crosses threads at twice the cost.
 * @throws BadAnswer naming `where` and the edit
 */
export function readEdits(value: unknown, where: string, rights: EditRights): readonly Edit[] {
  const list = readArray(value, where, answerLimits.editsMax);
  return list.map((item, index) => readEdit(item, `${where}[${index}]`, rights));
}

/** Longer than any header field or path that is let in. */
const textCharactersMax = 1024 * 1024;

const rightOf: Readonly<Record<EditType, keyof EditRights>> = {
  addHeader: 'message',
  insertHeader: 'message',
  changeHeader: 'message',
  deleteHeader: 'message',
  replaceBody: 'message',
  changeSender: 'sender',
  addRecipient: 'recipients',
  deleteRecipient: 'recipients',
};

const keysOf: Readonly<Record<EditType, readonly string[]>> = {
  addHeader: ['type', 'name', 'value'],
  insertHeader: ['type', 'index', 'name', 'value'],
  changeHeader: ['type', 'name', 'nth', 'value'],
  deleteHeader: ['type', 'name', 'nth'],
  replaceBody: ['type', 'body'],
  changeSender: ['type', 'address', 'parameters'],
  addRecipient: ['type', 'address', 'parameters'],
  deleteRecipient: ['type', 'address'],
};

function readEdit(value: unknown, where: string, rights: EditRights): Edit {
  const type = (value as { type?: unknown } | null | undefined)?.type;
  if (typeof type !== 'string' || !Object.hasOwn(keysOf, type)) {
    throw new BadAnswer(`${where} is no edit: its type is ${JSON.stringify(type) ?? 'missing'}`);
  }
  const known = type as EditType;
  if (!rights[rightOf[known]]) throw new BadAnswer(`${where}: ${known} is not possible in this hook`);
  const edit = readFields(known, readObject(value, where, keysOf[known]), where);
  const problem = checkEdit(edit);
  if (problem !== undefined) throw new BadAnswer(`${where}: ${problem}`);
  return edit;
}

function readFields(type: EditType, edit: Readonly<Record<string, unknown>>, where: string): Edit {
  const text = (key: string) => readText(edit[key], `${where}.${key}`, textCharactersMax);
  const whole = (key: string) => readNumber(edit[key], `${where}.${key}`, 0);
  switch (type) {
    case 'addHeader':
      return { type, name: text('name'), value: text('value') };
    case 'insertHeader':
      return { type, index: whole('index'), name: text('name'), value: text('value') };
    case 'changeHeader':
      return { type, name: text('name'), nth: whole('nth'), value: text('value') };
    case 'deleteHeader':
      return { type, name: text('name'), nth: edit.nth === 'all' ? 'all' : whole('nth') };
    case 'replaceBody':
      if (!(edit.body instanceof Uint8Array)) throw new BadAnswer(`${where}.body is no Uint8Array`);
      // A copy: the plugin may keep its own and write into it.
      return { type, body: new Uint8Array(edit.body) };
    case 'changeSender':
    case 'addRecipient':
      return { type, address: text('address'), ...readParameters(edit.parameters, where) };
    case 'deleteRecipient':
      return { type, address: text('address') };
  }
}

function readParameters(value: unknown, where: string): { parameters?: Record<string, string | true> } {
  if (value === undefined) return {};
  const parameters: Record<string, string | true> = {};
  for (const [keyword, content] of Object.entries(readObject(value, `${where}.parameters`))) {
    // RFC 5321 section 4.1.2: esmtp-keyword and esmtp-value, which RFC 6531 section 3.3 lets be UTF-8.
    const isValue =
      content === true || (typeof content === 'string' && /^[^\x00-\x20\x7f-\x9f]+$/.test(content));
    if (!isValue || !/^[A-Za-z0-9][A-Za-z0-9-]*$/.test(keyword)) {
      throw new BadAnswer(`${where}.parameters.${keyword} is no ESMTP parameter`);
    }
    parameters[keyword.toUpperCase()] = content;
  }
  return { parameters };
}
