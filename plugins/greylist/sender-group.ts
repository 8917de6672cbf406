/** Senders that change with each message, brought down to what stays the same. RFC 5321 section 4.5.3.1.1 bounds them. */

/** `prvs=0123abcdef=ann+x@a.test` becomes `ann@a.test`, `bounce-1234-9@a.test` becomes `bounce-#-#@a.test`; '' stays ''. */
export function senderGroup(sender: string): string {
  const lower = sender.toLowerCase();
  const at = lower.lastIndexOf('@');
  if (at < 1) return lower;
  const domain = lower.slice(at);
  const local = lower.slice(0, at);
  // SRS0=hash=day=domain=local: hash and day change, the sender behind them does not.
  const forwarded = /^srs[01][=+-]([^=]*)=(.*)$/.exec(local);
  if (forwarded !== null)
    return `srs=${forwarded[2]!.replace(/\d+/g, '#').replace(/^[a-z2-7#]{2,3}=/, '')}${domain}`;
  const untagged = local.replace(/^(?:prvs|btv1|msprvs1)=+[^=]*=+/, '').replace(/(?<=.)\+.*$/, '');
  return `${untagged.replace(/[0-9a-f]*\d[0-9a-f]*/g, '#')}${domain}`;
}
