/** What stands in for clamd, spamd and rspamd: when each has heard a whole message, and what a good one says of a clean one. */

export interface ScannerStub {
  isWhole(heard: Buffer): boolean;
  readonly good: string;
}

const clean = JSON.stringify({ action: 'no action', score: 0.5, required_score: 15, symbols: {} });

/** By plugin; all of them take `servers` as an option. */
export const scannerStubs = {
  clamav: {
    isWhole: (heard) => heard.subarray(-4).equals(Buffer.alloc(4)),
    good: 'stream: OK\0',
  },
  spamassassin: {
    isWhole: (heard) => heard.includes('Hello.\r\n'),
    good: 'SPAMD/1.1 0 EX_OK\r\nContent-length: 2\r\nSpam: False ; 0.5 / 5.0\r\n\r\nok',
  },
  rspamd: {
    isWhole: (heard) => heard.includes('0\r\n\r\n'),
    good: `HTTP/1.1 200 OK\r\nContent-Length: ${clean.length}\r\n\r\n${clean}`,
  },
} as const satisfies Record<string, ScannerStub>;
