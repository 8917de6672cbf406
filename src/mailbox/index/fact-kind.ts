/** What is read of messages in advance, by what it takes: the header, the whole message, and all its texts decoded. */
import type { FactField } from '../mailbox.ts';

export type FactKind = 'head' | 'structure' | 'text';

/** As they are read in advance: what most wait for first. */
export const factKinds: readonly FactKind[] = ['head', 'structure', 'text'];

export const kindOfField: Readonly<Record<FactField, FactKind>> = {
  envelope: 'head',
  body: 'structure',
  bodyStructure: 'structure',
  preview: 'text',
  emailId: 'text',
  threadId: 'text',
};

/** What has to be read of messages for these fields. */
export function kindsOf(fields: readonly FactField[]): FactKind[] {
  return [...new Set(fields.map((field) => kindOfField[field]))];
}
