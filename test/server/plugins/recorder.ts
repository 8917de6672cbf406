/** Writes down, in its state, what each hook was given; the headers hook tells what is in the state, the message hook what DNS says. */
import { definePlugin, type HookContext, type HookInput, type Json } from 'mailfilter/plugin';

async function note(hook: string, given: Json, { state }: HookContext): Promise<{ result: Json }> {
  await state.set(`given/${hook}`, given);
  return { result: { [hook]: true } };
}

const before = ({ results }: HookInput) => Object.keys((results.recorder as object | undefined) ?? {});

export default definePlugin({
  name: 'recorder',
  hooks: {
    connect: ({ connection: { remoteIp, listener, door } }, context) =>
      note('connect', { remoteIp, listener, door }, context),
    helo: ({ session: { helo, esmtp } }, context) => note('helo', { helo, esmtp }, context),
    auth: ({ session: { user, authMethod } }, context) =>
      note('auth', { user: user ?? '', authMethod: authMethod ?? '' }, context),
    mailFrom: (input, context) =>
      note('mailFrom', { sender: input.envelope.sender, before: before(input) }, context),
    rcptTo: ({ recipient, route }, context) =>
      note('rcptTo', { address: recipient.address, notify: [...recipient.notify], route }, context),
    data: ({ envelope }, context) =>
      note('data', { recipients: envelope.recipients.map(({ address }) => address) }, context),
    headers: async ({ message }, context) => {
      const { state } = context;
      await note('headers', { subject: message.headers.get('Subject') ?? '' }, context);
      const runs = await state.increment('runs');
      const kept = [];
      for (const key of await state.list('given/')) kept.push([key, (await state.get(key)) ?? null] as const);
      return { result: { headers: true, runs, kept: Object.fromEntries(kept) } };
    },
    message: async (input, context) => {
      const { dns } = context;
      const text = (await input.message.parsed()).tooLarge ? '' : 'parsed';
      await note('message', { text, before: before(input) }, context);
      const failed = await dns.a('broken.example').catch((error) => `${error.code} ${error.temporary}`);
      return {
        result: {
          message: true,
          a: await dns.a('mail.sender.example'),
          txt: await dns.txt('sender.example'),
          mx: await dns.mx('sender.example'),
          ptr: await dns.ptr('192.0.2.1'),
          none: await dns.a('nowhere.example'),
          failed,
        },
      };
    },
    deliver: ({ user, detail, recipient }, context) =>
      note('deliver', { user, detail, address: recipient.address }, context),
    close: async ({ reason }, context) => void (await note('close', { reason }, context)),
  },
});
