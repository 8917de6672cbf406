/** `limits` of the config, with the defaults that the code has. */
import { defaultLimits, type Limits } from '../../base/limits/settings.ts';
import { whole } from './words.ts';

/** Smallest value of each limit that still makes a working server. */
const limitMinimums: Readonly<Record<keyof Limits, number>> = {
  messageBytesMax: 1024,
  memoryMessageBytesMax: 0,
  memoryTotalBytesMax: 0,
  recipientsMax: 1,
  connectionsMax: 1,
  connectionsPerAddressMax: 1,
  idleTimeoutMs: 100,
  dataTimeoutMs: 100,
  errorsPerSessionMax: 1,
  commandLineBytesMax: 512,
  authFailuresMax: 1,
  messagesPerSessionMax: 1,
  headerFieldsMax: 1,
  headerBytesMax: 1000,
  receivedFieldsMax: 1,
  mimeDepthMax: 1,
  mimePartsMax: 1,
  parsedMessageBytesMax: 1024,
};
export const limitProperties = Object.fromEntries(
  Object.entries(limitMinimums).map(([name, minimum]) => [
    name,
    whole(
      `Default ${defaultLimits[name as keyof Limits]}.`,
      defaultLimits[name as keyof Limits],
      minimum,
      2 ** 40,
    ),
  ]),
);
