/** Deliver mail for one address to others: an alias table, expanded at RCPT. RFC 5321 section 3.9. */
import { addRecipient, definePlugin, deleteRecipient, type Edit } from 'mailfilter/plugin';
import { openAliasDatabase } from './database.ts';
import { checkEntries, expand } from './expand.ts';
import { readTable } from './read-table.ts';

export default definePlugin({
  name: 'aliases',
  writes: ['recipients'],
  needs: ['addRecipient', 'deleteRecipient'],
  options: {
    table: {
      type: 'object',
      additionalProperties: {
        anyOf: [
          { type: 'string', minLength: 1 },
          { type: 'array', minItems: 1, items: { type: 'string', minLength: 1 } },
        ],
      },
      default: {},
      description: 'Address, name or @domain to one target or a list of them.',
    },
    file: {
      type: 'string',
      minLength: 1,
      description: 'File of lines `name: target, target`; /etc/aliases is one. Relative to the config.',
    },
    database: {
      type: 'object',
      properties: {
        file: { type: 'string', minLength: 1 },
        query: { type: 'string', minLength: 1 },
      },
      required: ['file', 'query'],
      additionalProperties: false,
      description:
        'SQLite database, relative to the config, and a SELECT with one parameter: address, name or @domain in lower case.',
    },
    patterns: {
      type: 'array',
      items: {
        type: 'object',
        properties: {
          match: { type: 'string', minLength: 1 },
          to: { type: 'array', minItems: 1, items: { type: 'string', minLength: 1 } },
        },
        required: ['match', 'to'],
        additionalProperties: false,
      },
      default: [],
      description: 'Expressions for whole addresses, the first that fits decides; $1 in targets is a group.',
    },
    programs: {
      type: 'object',
      additionalProperties: { type: 'string', minLength: 3 },
      default: {},
      description:
        'Program targets that may be named, without their bar, and an address whose route is a pipe.',
    },
    subaddressSeparator: {
      type: 'string',
      maxLength: 1,
      default: '+',
      description: 'What parts name and detail: info+x falls back to info. Empty: no fallback.',
    },
    keepDetail: {
      type: 'boolean',
      default: false,
      description: 'Give the detail of info+x to the targets: alice+x. Not to targets that have one.',
    },
    expansionMax: {
      type: 'integer',
      minimum: 1,
      maximum: 10_000,
      default: 1000,
      description: 'Most recipients that one may become; more is a failure.',
    },
  },
  setup({ options, domains, baseDirectory, log }) {
    const database = options.database && openAliasDatabase(options.database, baseDirectory);
    const table = readTable({ ...options, domains, baseDirectory }, database);
    checkEntries(table, options);
    log('loaded', { entries: table.entries.size });
    return { table, database };
  },
  dispose({ prepared }) {
    prepared.database?.close();
  },
  hooks: {
    rcptTo({ recipient, route }, { options, prepared: { table }, log }) {
      const targets = expand(table, recipient.address, { ...options, known: route === 'mailbox' });
      if (!targets) return undefined;
      log('expanded', { recipient: recipient.address, targets: targets.length });
      return {
        edits: editsFor(recipient.address, targets),
        result: { [recipient.address]: targets.slice(0, shownTargetsMax) },
      };
    },
  },
});

/** Of a large list the result, which every later plugin is given, shows the first ones only. */
const shownTargetsMax = 20;

/** A recipient that is among its own targets stays as it came, however the table spells it. */
function editsFor(address: string, targets: readonly string[]): Edit[] {
  const others = targets
    .filter((target) => target.toLowerCase() !== address.toLowerCase())
    .map((target) => addRecipient(target));
  return others.length < targets.length ? others : [deleteRecipient(address), ...others];
}
