/** COMPRESS DEFLATE. RFC 4978. */
import { command } from '../command.ts';
import { no } from '../refusal.ts';

export const compress = command({
  name: 'COMPRESS',
  in: 'authenticated',
  parse(input) {
    input.space();
    return input.word();
  },
  run(session, mechanism) {
    if (mechanism !== 'DEFLATE') throw no('only DEFLATE is known', 'CANNOT');
    if (session.isCompressed) throw no('the connection is compressed', 'COMPRESSIONACTIVE');
    // The tagged OK goes out as it is; what follows is compressed.
    session.isCompressed = true;
    return { text: 'Compression begins now' };
  },
});
