/** A copy of the mail of this site for an archive: all, or that of one direction, of some addresses only. RFC 5321 section 3.9. */
import { isAddress } from 'mailfilter/mail';
import { addRecipient, definePlugin, type MessageInput } from 'mailfilter/plugin';

const addresses = (description: string) =>
  ({ type: 'array', items: { type: 'string', minLength: 1 }, default: [], description }) as const;

export default definePlugin({
  name: 'archive',
  kind: 'mutate',
  needs: ['addRecipient'],
  writes: ['recipients'],
  options: {
    to: {
      type: 'string',
      description: 'Address of the archive: a mailbox here, with a detail for a folder, or elsewhere.',
    },
    direction: {
      type: 'string',
      enum: ['all', 'in', 'out'],
      default: 'all',
      description: 'Which mail: what users and trusted clients send is out, all else is in.',
    },
    only: addresses('Addresses and @domains: mail from or to one of them. Empty: all mail.'),
    except: addresses('Addresses and @domains: no mail from or to one of them.'),
  },
  required: ['to'],
  setup({ options: { to, only, except } }) {
    if (!isAddress(to)) throw new Error(`to: "${to}" is no address`);
    return { only: lowerCased(only), except: lowerCased(except) };
  },
  hooks: {
    message(input, { options, prepared, log }) {
      const { to, direction } = options;
      const { recipients, sender } = input.envelope;
      if (direction !== 'all' && direction !== directionOf(input)) return undefined;
      const concerned = [sender, ...recipients.map(({ address }) => address)].map((each) =>
        each.toLowerCase(),
      );
      // What goes there anyway, and the archive's own bounces, are not copied again.
      if (concerned.includes(to.toLowerCase())) return undefined;
      const isNamed = (list: ReadonlySet<string>) => concerned.some((address) => names(list, address));
      if (isNamed(prepared.except) || (prepared.only.size > 0 && !isNamed(prepared.only))) return undefined;
      log('copied', { to });
      return { edits: [addRecipient(to)], result: { to } };
    },
  },
});

function directionOf({ session, connection, envelope }: MessageInput): 'in' | 'out' {
  const ours = session.user !== undefined || connection.trusted || connection.door === 'submission';
  return ours || envelope.origin !== undefined ? 'out' : 'in';
}

function names(list: ReadonlySet<string>, address: string): boolean {
  return list.has(address) || list.has(address.slice(address.lastIndexOf('@')));
}

function lowerCased(list: readonly string[]): ReadonlySet<string> {
  return new Set(list.map((entry) => entry.toLowerCase()));
}
