/**
 * The milter protocol, versions 2 to 6, without I/O: for filters and for MTAs. Octets go in through PacketReader,
 * commands and replies are values, encoders give the octets to write. As libmilter and Postfix speak it.
 */
export { decodeCommand, encodeCommand, type MilterCommand } from './commands.ts';
export { agree, decodeTerms, encodeTerms, type Terms } from './negotiation.ts';
export {
  type ActionName,
  actionBits,
  bodyChunkBytes,
  commandLetters,
  type MacroStage,
  macroStages,
  replyLetters,
  type StepName,
  stepBits,
  versionMax,
  versionMin,
} from './numbers.ts';
export { encodePacket, type Packet, PacketReader } from './packet.ts';
export {
  decodeReply,
  encodeReply,
  type MilterModification,
  type MilterReply,
  replacementChunks,
} from './replies.ts';
export { formatReplyLines, parseReplyLines, type SmtpReply } from './reply-lines.ts';
export { MilterWireError } from './wire-error.ts';
