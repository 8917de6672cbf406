/** JSON Schema of a list of rules: for editors, and so that a misspelt key is an error with its place in the config. */
import type { Json } from '../../core/base/json.ts';
import { attachmentParts, envelopeParts, headerParts, textParts } from './condition.ts';

type Schema = { readonly [key: string]: Json };

const headerName: Schema = { type: 'string', pattern: '^[!-9;-~]{1,200}$' };
const text: Schema = { type: 'string', minLength: 1 };
const texts: Schema = { anyOf: [text, { type: 'array', items: text, minItems: 1 }] };
const status: Schema = { type: 'string', pattern: '^[45]\\.\\d{1,3}\\.\\d{1,3}$' };

/** Keys of a condition are spelt out this many levels down; the rules' own reader checks the deeper ones. */
const spelledOutLevels = 1;

/** @param withContent whether conditions may ask about text and attachments */
export function rulesSchema(withContent: boolean): Schema {
  return {
    type: 'array',
    items: {
      type: 'object',
      properties: {
        name: { ...text, description: 'What logs, results and the symbol of a score call the rule.' },
        when: {
          ...conditionSchema(withContent, spelledOutLevels),
          description: 'When the rule applies; always when left out.',
        },
        // biome-ignore lint/suspicious/noThenProperty: a schema of data, never awaited
        then: { type: 'array', minItems: 1, items: actionSchema, description: 'What it does, in order.' },
      },
      required: ['then'],
      additionalProperties: false,
    },
  };
}

function conditionSchema(withContent: boolean, levels: number): Schema {
  const inner: Schema = levels > 0 ? conditionSchema(withContent, levels - 1) : { type: 'object' };
  // Not `type: array` itself: a list that is left out would be filled in as an empty one.
  const list: Schema = { anyOf: [{ type: 'array', items: inner, minItems: 1 }] };
  return {
    type: 'object',
    properties: {
      all: { ...list, description: 'Every one of these holds.' },
      any: { ...list, description: 'One of these holds.' },
      not: inner,
      header: {
        anyOf: [headerName, { type: 'array', items: headerName, minItems: 1 }],
        description: 'Fields of this name, or of any of these; encoded words are decoded.',
      },
      part: {
        enum: [...headerParts],
        description: 'What of an address field is looked at. Default: its value.',
      },
      envelope: { enum: [...envelopeParts] },
      authenticated: { type: 'boolean' },
      trusted: { type: 'boolean', description: 'The client is in trustedNetworks.' },
      ...(withContent && {
        text: { enum: [...textParts], description: 'The decoded text of the message.' },
        attachment: { enum: [...attachmentParts] },
      }),
      ...valueTests,
      in: { ...texts, description: 'The value is one of these.' },
      within: { ...texts, description: 'The address is in one of these networks, such as 192.0.2.0/24.' },
      exists: { const: true },
      absent: { const: true },
    },
    additionalProperties: false,
  };
}

const valueTests: Schema = {
  matches: {
    ...text,
    description: 'Regular expression, ECMAScript syntax; ^ and $ are begin and end of a line.',
  },
  contains: text,
  equals: { type: 'string' },
  startsWith: text,
  endsWith: text,
  caseSensitive: { type: 'boolean', description: 'Default false.' },
};

const actionSchema: Schema = {
  type: 'object',
  properties: {
    add: { ...headerName, description: 'Append a field; `value` may hold placeholders such as {sender}.' },
    insert: { ...headerName, description: 'Put a field at the top.' },
    set: { ...headerName, description: 'Make this the only field of its name.' },
    delete: {
      ...headerName,
      description: 'Remove the fields of that name, or those that pass the test beside it.',
    },
    rename: headerName,
    to: headerName,
    value: text,
    reject: { ...text, description: 'Refuse for good, with this text.' },
    tempfail: { ...text, description: 'Refuse for now, with this text.' },
    code: { type: 'integer', minimum: 400, maximum: 559 },
    status,
    discard: { ...text, description: 'Answer 250 and drop; the text is the reason in the trace.' },
    quarantine: { ...text, description: 'Answer 250 and hold; the text is the reason in the trace.' },
    score: { type: 'number', description: 'SpamAssassin points: 5 is spam, negative is ham.' },
    symbol: { type: 'string', pattern: '^[A-Za-z][A-Za-z0-9_]{0,63}$' },
    stop: { const: true, description: 'No later rule is looked at.' },
    ...valueTests,
  },
  additionalProperties: false,
};
