/**
 * The face of mailfilter for plugin authors: `mailfilter/plugin`.
 *
 * A plugin is a file whose default export is `definePlugin({ name, hooks, ... })`. A hook is given read-only input and a
 * context, and answers with a value: nothing, a verdict, or `{ verdict, edits, recipients, result, score, symbols, auth,
 * actions }`. What `setup` answers, every hook has as `context.prepared`. A hook that throws, rejects, never answers or
 * answers in another shape has failed, and the config's `onFailure` decides what becomes of the mail.
 */
export type { Clock } from '../base/clock.ts';
export type { Json } from '../base/json.ts';
export type { Edit } from '../mail/edit.ts';
export {
  addHeader,
  addRecipient,
  changeHeader,
  changeSender,
  deleteHeader,
  deleteRecipient,
  insertHeader,
  replaceBody,
} from '../mail/edits.ts';
export type { Envelope, Recipient, RecipientId } from '../mail/envelope.ts';
export type { HeaderField, Headers, Message, ParsedMessage, TooLarge } from '../mail/message.ts';
export { BrokenOffError, type Conversation, type ConverseOptions, converse } from '../net/converse.ts';
export { type DaemonAddress, formatDaemonAddress, parseDaemonAddress } from '../net/daemon-address.ts';
export { type AskContext, Daemons } from '../net/daemons.ts';
export { type IpMatcher, ipMatcher, networkKey } from '../net/ip.ts';
export { reverseIp } from '../net/reverse-ip.ts';
export { type Reverse, reverseOf } from '../net/reverse-names.ts';
export type { Connection, Session, TlsInfo } from '../session/connection.ts';
export type { Action } from '../session/plan.ts';
export { type DoorName, type HookName, isSentElsewhere, type Power } from '../session/powers.ts';
export type {
  AuthResult,
  HookAnswer,
  HookResult,
  RecipientResult,
  Results,
  ScoredSymbol,
} from '../session/results.ts';
export type { Verdict } from '../session/verdict.ts';
export { definePlugin, type PluginDefinition } from './define.ts';
export type {
  CloseInput,
  DeliverInput,
  DisposeContext,
  EffectName,
  Effects,
  Hook,
  HookContext,
  HookInput,
  HookInputs,
  Hooks,
  MessageInput,
  MovedInput,
  OptionSchema,
  OptionSchemas,
  PluginDns,
  PluginKind,
  PluginMailboxes,
  PluginScripts,
  PluginState,
  RcptToInput,
  SendInput,
  SetupContext,
  TransactionInput,
} from './hooks.ts';
export type { OptionsOf, ValueOf } from './options.ts';
export { accept, discard, proceed, quarantine, reject, tempfail } from './verdicts.ts';
