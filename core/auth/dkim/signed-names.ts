/** Which fields a signature covers where nobody says otherwise. RFC 6376 sections 5.4.1 and 8.15. */

/** What a reader sees or a program obeys. Not what mail servers change on the way: Received, Return-Path, results. */
export const signedNames = [
  'From',
  'Sender',
  'Reply-To',
  'To',
  'Cc',
  'Subject',
  'Date',
  'Message-ID',
  'In-Reply-To',
  'References',
  'MIME-Version',
  'Content-Type',
  'Content-Transfer-Encoding',
  'Content-ID',
  'Content-Description',
  'Resent-From',
  'Resent-Sender',
  'Resent-To',
  'Resent-Cc',
  'Resent-Date',
  'Resent-Message-ID',
  'List-Id',
  'List-Help',
  'List-Subscribe',
  'List-Unsubscribe',
  'List-Unsubscribe-Post',
  'List-Post',
  'List-Owner',
  'List-Archive',
  'Autocrypt',
] as const;

/** Of which a second one would be shown in place of the first. A mailing list may still add its own fields. */
export const oversignedNames = [
  'From',
  'Reply-To',
  'To',
  'Cc',
  'Subject',
  'Date',
  'Message-ID',
  'MIME-Version',
  'Content-Type',
  'Content-Transfer-Encoding',
] as const;
