/** The `from` clause of Received fields made neutral; by, with, id, for and the date stay. RFC 5321 section 4.4. */
import { parseReceived, type ReceivedField, writeReceived } from 'mailfilter/mail';
import type { Edit, MessageInput } from 'mailfilter/plugin';

interface ReceivedOptions {
  readonly received: 'rewrite' | 'remove' | 'keep';
  readonly allReceived: boolean;
}

/** Ours is the first field, if it carries the transaction's id: behind some doors it is not there to be seen. */
export function seesOwnReceived({ message, id }: MessageInput): boolean {
  const first = message.headers.get('Received');
  return first !== undefined && carriesId(parseReceived(first), id);
}

function carriesId(field: ReceivedField, id: string): boolean {
  return field.clauses.some((clause) => clause.name === 'id' && clause.value === id);
}

export function receivedEdits({ message, id }: MessageInput, options: ReceivedOptions): Edit[] {
  if (options.received === 'keep') return [];
  const edits: Edit[] = [];
  message.headers.all('Received').forEach((value, index) => {
    const field = parseReceived(value);
    const own = index === 0 && carriesId(field, id);
    if (!own && !options.allReceived) return;
    const rewritten = options.received === 'rewrite' ? neutral(field, own) : undefined;
    edits.push(
      rewritten === undefined
        ? { type: 'deleteHeader', name: 'Received', nth: index + 1 }
        : { type: 'changeHeader', name: 'Received', nth: index + 1, value: rewritten },
    );
  });
  // From the last to the first, so that the numbers of those still to come stay right.
  return edits.reverse();
}

/** Undefined for a field that cannot be written anew: without `by` or a date it was no Received field. */
function neutral(field: ReceivedField, own: boolean): string | undefined {
  if (field.date === undefined || !field.clauses.some((clause) => clause.name === 'by')) return undefined;
  const clauses = field.clauses
    .filter((clause) => known.has(clause.name))
    .map((clause) =>
      clause.name === 'from'
        ? { name: 'from', value: 'authenticated-user', comments: ['unknown'] }
        : // Comments of other servers may name the client again, such as "envelope-from" and "from userid".
          { ...clause, comments: own ? clause.comments : [] },
    );
  return writeReceived({ ...field, clauses, comments: own ? field.comments : [] });
}

const known = new Set(['from', 'by', 'via', 'with', 'id', 'for']);
