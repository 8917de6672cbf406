/** addheader and deleteheader. RFC 5293. */
import { decodeWords } from '../../../core/mail/encoded-word.ts';
import { fieldValue } from '../../../core/mail/header.ts';
import { Fault } from '../fault.ts';
import { isHeaderName } from '../header-names.ts';
import type { Run } from '../run.ts';
import type { ActionSpec, Extension } from '../spec.ts';
import type { Text } from '../strings.ts';
import { shown, textOctets } from '../text.ts';
import type { Use } from '../use.ts';
import { Values } from '../values.ts';
import { indexTags } from './index.ts';

/** RFC 5293 section 6: traces stay as they are. */
const untouchable: ReadonlySet<string> = new Set(['received', 'auto-submitted']);

function isProtected(run: Run, lowerName: string, more: readonly string[] | undefined): boolean {
  const { protectedHeaders = [] } = run.settings;
  return [...protectedHeaders, ...(more ?? [])].some((name) => name.toLowerCase() === lowerName);
}

function headerName(use: Use, name: Text): (run: Run) => string {
  const problem = (text: string) => `${use.title}: specified field name \`${shown(text)}' is invalid`;
  if (name.constant !== undefined && !isHeaderName(name.constant))
    use.error(problem(name.constant), use.at(0));
  return (run) => {
    const text = name.value(run);
    if (!isHeaderName(text)) throw new Fault(problem(text));
    return text;
  };
}

const addheader: ActionSpec = {
  name: 'addheader',
  kind: 'command',
  tags: [{ name: 'last' }],
  positional: [
    { name: 'field-name', type: 'string' },
    { name: 'value', type: 'string' },
  ],
  compile(use) {
    const name = headerName(use, use.text(0));
    const value = use.text(1);
    const last = use.has('last');
    if (value.constant !== undefined && !isFieldValue(value.constant))
      // It may stand where it is never reached; reached, it ends the script.
      use.compiler.problems.warning(
        use.at(1),
        'no-effect',
        `addheader command: specified value \`${shown(value.constant)}' is invalid`,
      );
    return (run) => {
      const field = name(run);
      const text = value.value(run);
      if (isProtected(run, field.toLowerCase(), run.settings.headersNotAdded)) return;
      if (!isFieldValue(text))
        throw new Fault(`addheader action: specified value \`${shown(text)}' is invalid`);
      const octets = textOctets(text).length;
      if (octets > run.limits.headerValueBytesMax)
        throw new Fault(
          `addheader action: specified header value is too large (${octets} > ${run.limits.headerValueBytesMax} bytes)`,
        );
      run.edit(run.message.withField(field, unfolded(text), last));
      run.trace?.input('did', `addheader ${field}`);
    };
  },
};

/** No control characters but tab and folds. RFC 5293 section 4. */
function isFieldValue(text: string): boolean {
  return !/[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]/.test(text);
}

function unfolded(text: string): string {
  return text
    .replace(/(?:\r?\n)+[ \t]*/g, ' ')
    .replace(/\r/g, ' ')
    .trim();
}

const deleteheader: ActionSpec = {
  name: 'deleteheader',
  kind: 'command',
  matches: true,
  optionalLast: 1,
  tags: indexTags,
  positional: [
    { name: 'field-name', type: 'string' },
    { name: 'value-patterns', type: 'string-list' },
  ],
  compile(use) {
    const name = headerName(use, use.text(0));
    const nth = use.tagNumber('index');
    const last = use.has('last');
    if (last && nth === undefined)
      use.error('the :last tag for the deleteheader command cannot be specified without the :index tag');
    const matches = use.positional[1] ? use.match(1) : undefined;
    const constant = use.text(0).constant?.toLowerCase();
    if (constant !== undefined && untouchable.has(constant))
      use.compiler.problems.warning(
        use.at(0),
        'no-effect',
        `deleteheader command: deleting specified header field \`${constant}' is forbidden; modification will be denied`,
      );
    return (run) => {
      const field = name(run).toLowerCase();
      if (untouchable.has(field) || isProtected(run, field, run.settings.headersNotDeleted)) return;
      const message = run.message.withoutFields(field, ({ raw }, position, count) => {
        if (nth !== undefined && (last ? count - position + 1 : position) !== nth) return false;
        return !matches || matches(run, new Values([decodeWords(fieldValue(raw))]));
      });
      run.edit(message);
      run.trace?.input('did', `deleteheader ${field}`);
    };
  },
};

export const editheader: Extension = {
  name: 'editheader',
  specs: [addheader, deleteheader],
};
