/** Raises the `moved` hooks: plugins hear of what users do to their mail, and rules for IMAP events are carried out. RFC 6785. */
import { createHash } from 'node:crypto';
import { OperationalError } from '../core/base/errors.ts';
import { applyHeaderEdits } from '../core/mail/apply-edits.ts';
import type { Edit } from '../core/mail/edit.ts';
import type { Envelope, Recipient } from '../core/mail/envelope.ts';
import { fieldValue } from '../core/mail/header.ts';
import { readHeader } from '../core/mail/read-header.ts';
import { type MessageSource, memorySource } from '../core/mail/source.ts';
import { emptyPipelineState } from '../core/pipeline/request.ts';
import type { Action } from '../core/session/plan.ts';
import type { MailboxAction, MovedMessage } from './calls/mta-calls.ts';
import { foreignAuthor } from './flow/authors.ts';
import type { House } from './flow/house.ts';
import type { Queue, QueueWork } from './queue/queue.ts';

export interface MovedRooms {
  readonly queue: Pick<Queue, 'enqueue'>;
  /** Whether rules of that user may send one mail more now; counts it. */
  maySend(user: string): boolean;
}

/** In each pipeline that hears of moves; rules of the mailbox run in the one that takes in mail for it. */
export async function raiseMoved(
  house: House,
  rooms: MovedRooms,
  { message, event, ...moved }: MovedMessage,
): Promise<readonly MailboxAction[]> {
  const { pipelines, config, clock } = house;
  const id = transactionIdOf(`${moved.user}/${clock.now()}/${Math.random()}`);
  const hearing = Object.keys(config.pipelines).filter((name) => pipelines.has(name, 'moved'));
  const ruling = config.mailbox.pipeline ?? 'inbound';
  const [first] = hearing.includes(ruling) ? [ruling] : hearing;
  const source = memorySource(message);
  const asked: Action[] = [];
  for (const pipeline of hearing) {
    const { actions = [] } = await pipelines.run({
      pipeline,
      stages: ['moved'],
      id,
      connection: { ...noConnection, id, openedAt: clock.now() },
      session: { helo: '', esmtp: false, user: moved.user },
      message: source,
      moved: { ...moved, ...(event && pipeline === first && { event }) },
      state: emptyPipelineState,
    });
    pipelines.forget(id);
    asked.push(...actions);
  }
  await carryOut(house, rooms, { id, user: moved.user, source }, asked);
  return asked.filter((action) => action.type === 'store' || action.type === 'discard');
}

const noConnection = {
  door: 'mda',
  listener: '',
  localIp: '',
  localPort: 0,
  remoteIp: '',
  remotePort: 0,
  remoteName: '',
  trusted: true,
} as const;

interface Moved {
  readonly id: string;
  readonly user: string;
  readonly source: MessageSource;
}

/**
 * What leaves the mailbox is queued, so that it goes out once; keys hold from then on. Rejects, with nothing done, where
 * the user has sent too much.
 */
async function carryOut(
  house: House,
  { queue, maySend }: MovedRooms,
  { id, user, source }: Moved,
  actions: readonly Action[],
): Promise<void> {
  const owner: Recipient = { id: 'r1', address: user, original: user, notify: [] };
  const createdAt = house.clock.now();
  const entries = actions.flatMap((action, ordinal) => {
    const work = workOf(action, owner);
    if (work === undefined) return [];
    const envelope = envelopeOf(house, owner, source, work.edits);
    return [{ id: `imap/${id}/${ordinal}`, transactionId: id, work, envelope, edits: [], createdAt }];
  });
  for (const { work } of entries) {
    if (work.kind !== 'submit' || maySend(user)) continue;
    throw new OperationalError('too-much-sent', `rules of ${user} send too much mail`, { temporary: true });
  }
  if (entries.length > 0) await queue.enqueue(entries, source);
  for (const action of actions) {
    if (action.type !== 'remember') continue;
    const { plugin = '', key, seconds } = action;
    await house.state(plugin).set(key, id, { ttlSeconds: seconds });
  }
}

/** The user's own mail is signed as such: only where nobody else's name stands in it as it goes out. */
function envelopeOf(
  house: House,
  owner: Recipient,
  source: MessageSource,
  edits: readonly Edit[] = [],
): Envelope {
  const user = owner.address;
  const header = applyHeaderEdits(readHeader(source, house.config.limits), edits, { smtputf8: false });
  const values = (name: string) =>
    header.items
      .filter((item) => header.isNamed(item, name))
      .map((item) => fieldValue(header.itemBytes(item)));
  const isOwn = values('from').length > 0 && foreignAuthor(house, user, values) === undefined;
  return {
    sender: user,
    recipients: [owner],
    body: '8bitmime',
    smtputf8: false,
    requireTls: false,
    ...(isOwn && { origin: 'user' }),
  };
}

type MovedWork = Extract<QueueWork, { kind: 'submit' | 'run' }>;

function workOf(action: Action, owner: Recipient): MovedWork | undefined {
  switch (action.type) {
    case 'redirect': {
      const { address, edits = [] } = action;
      return { kind: 'submit', sender: owner.address, recipients: [address], edits };
    }
    case 'reply': {
      const { sender, recipients, message, once } = action;
      const octets = Buffer.from(message).toString('latin1');
      return { kind: 'submit', sender, recipients, message: octets, ...(once && { once }) };
    }
    case 'run':
      return action.ofSite && { kind: 'run', argv: action.argv, recipients: [owner], edits: action.edits };
    default:
      return undefined;
  }
}

export function transactionIdOf(id: string): string {
  return createHash('sha256').update(id).digest('hex').slice(0, 16).toUpperCase();
}
