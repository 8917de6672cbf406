/** PROXY headers: tables, every prefix, and random octets. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { proxyHeaderBytesMax } from '../../../core/base/limits/doors.ts';
import { parseProxyHeader } from '../../../core/net/proxy-protocol.ts';
import { randomSource } from '../../kit/random.ts';

const signature = [...Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1')];
const v4 = [192, 0, 2, 7, 198, 51, 100, 9, 0x12, 0x67, 0, 25];
const v6 = [
  ...[0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1],
  ...[0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2],
  ...[0, 80, 0, 25],
];
const text = (line: string) => Buffer.from(line, 'latin1');
const binary = (command: number, family: number, block: number[], length = block.length) =>
  Buffer.from([...signature, command, family, length >> 8, length & 255, ...block]);

const proxied4 = { remoteIp: '192.0.2.7', remotePort: 4711, localIp: '198.51.100.9', localPort: 25 };
const proxied6 = { remoteIp: '2001:db8::1', remotePort: 80, localIp: '2001:db8::2', localPort: 25 };

const good: [name: string, header: Buffer, want: object][] = [
  ['v1 TCP4', text('PROXY TCP4 192.0.2.7 198.51.100.9 4711 25\r\n'), { kind: 'proxied', ...proxied4 }],
  ['v1 TCP6', text('PROXY TCP6 2001:db8::1 2001:db8::2 80 25\r\n'), { kind: 'proxied', ...proxied6 }],
  ['v1 UNKNOWN', text('PROXY UNKNOWN\r\n'), { kind: 'local' }],
  ['v1 UNKNOWN with more', text('PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n'), { kind: 'local' }],
  ['v2 TCP over IPv4', binary(0x21, 0x11, v4), { kind: 'proxied', ...proxied4 }],
  ['v2 TCP over IPv6', binary(0x21, 0x21, v6), { kind: 'proxied', ...proxied6 }],
  ['v2 with TLVs', binary(0x21, 0x11, [...v4, 3, 0, 4, 1, 2, 3, 4]), { kind: 'proxied', ...proxied4 }],
  ['v2 LOCAL', binary(0x20, 0x00, []), { kind: 'local' }],
  ['v2 LOCAL with octets to skip', binary(0x20, 0x11, v4), { kind: 'local' }],
];

for (const [name, header, want] of good) {
  test(`${name}, and nothing behind it is read`, () => {
    assert.deepEqual(parseProxyHeader(Buffer.concat([header, text('EHLO c\r\n')])), {
      ...want,
      length: header.length,
    });
    for (let cut = 0; cut < header.length; cut += 1) {
      assert.deepEqual(parseProxyHeader(header.subarray(0, cut)), { kind: 'incomplete' }, `cut at ${cut}`);
    }
  });
}

for (const [name, header] of [
  ['SMTP', text('EHLO c\r\n')],
  ['v1 with a lone LF', text('PROXY TCP4 192.0.2.7 198.51.100.9 4711 25\n'.padEnd(107, 'x'))],
  ['v1 too long', text(`PROXY TCP4 ${'1'.repeat(100)}`)],
  ['v1 of an unknown kind', text('PROXY UDP4 192.0.2.7 198.51.100.9 4711 25\r\n')],
  ['v1 with a bad address', text('PROXY TCP4 192.0.2.777 198.51.100.9 4711 25\r\n')],
  ['v1 with addresses of the other family', text('PROXY TCP6 192.0.2.7 198.51.100.9 4711 25\r\n')],
  ['v1 with a bad port', text('PROXY TCP4 192.0.2.7 198.51.100.9 65536 25\r\n')],
  ['v1 with a port of many zeros', text('PROXY TCP4 192.0.2.7 198.51.100.9 00025 25\r\n')],
  ['v1 with too little', text('PROXY TCP4 192.0.2.7 198.51.100.9 4711\r\n')],
  ['v1 with too much', text('PROXY TCP4 192.0.2.7 198.51.100.9 4711 25 1\r\n')],
  ['v2 of another version', binary(0x11, 0x11, v4)],
  ['v2 with an unknown command', binary(0x22, 0x11, v4)],
  ['v2 for a datagram', binary(0x21, 0x12, v4)],
  ['v2 for a unix socket', binary(0x21, 0x31, new Array(216).fill(0))],
  ['v2 cut short', binary(0x21, 0x21, v4)],
  ['v2 too long', binary(0x21, 0x11, v4, proxyHeaderBytesMax)],
] as const) {
  test(`malformed: ${name}`, () => assert.equal(parseProxyHeader(header).kind, 'malformed'));
}

test('random octets, and good headers with octets changed, are answered in time and never thrown at', () => {
  const random = randomSource('proxy-protocol');
  for (let round = 0; round < 20_000; round += 1) {
    const [, header] = random.pick(good);
    const bytes = Buffer.concat([header, random.bytes(random.below(40))]);
    for (let n = random.below(4); n > 0; n -= 1) bytes[random.below(bytes.length)] = random.below(256);
    const parsed = parseProxyHeader(bytes.subarray(0, random.below(bytes.length + 1)));
    if ('length' in parsed) assert.ok(parsed.length <= bytes.length);
  }
});
