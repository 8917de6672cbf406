/** The least that asks clamd, spamd and rspamd over TCP: what a scan costs when nothing is around it. */
import { request } from 'node:http';
import { connect } from 'node:net';

/** Rejects unless the daemon says that the message is clean. */
export type BareClient = (port: number, octets: Buffer) => Promise<void>;

export const askClamd: BareClient = async (port, octets) => {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(octets.length);
  const answer = await converse(port, [Buffer.from('zINSTREAM\0'), length, octets, Buffer.alloc(4)], false);
  if (answer !== 'stream: OK\0') throw new Error(`clamd: ${answer}`);
};

export const askSpamd: BareClient = async (port, octets) => {
  const head = Buffer.from(`REPORT SPAMC/1.5\r\nContent-length: ${octets.length}\r\n\r\n`);
  const answer = await converse(port, [head, octets], true);
  if (!/^SPAMD\/\S+ 0 /.test(answer)) throw new Error(`spamd: ${answer.slice(0, 100)}`);
};

export const askHttp: BareClient = (port, octets) =>
  new Promise((resolve, reject) => {
    const headers = { From: 's@example.org', Rcpt: 'alice@example.test', IP: '192.0.2.1' };
    const asked = request(
      { host: '127.0.0.1', port, path: '/checkv2', method: 'POST', headers, agent: false },
      async (answer) => {
        let text = '';
        for await (const chunk of answer) text += chunk;
        if (answer.statusCode === 200) resolve(void JSON.parse(text));
        else reject(new Error(`rspamd: ${answer.statusCode} ${text}`));
      },
    );
    asked.on('error', reject);
    asked.end(octets);
  });

function converse(port: number, parts: readonly Buffer[], halfClose: boolean): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: '127.0.0.1', port, noDelay: true, allowHalfOpen: true });
    let answer = '';
    socket.on('data', (chunk) => (answer += chunk.toString('latin1')));
    socket.on('error', reject);
    socket.on('end', () => {
      socket.destroy();
      resolve(answer);
    });
    const all = Buffer.concat(parts);
    if (halfClose) socket.end(all);
    else socket.write(all);
  });
}
