/** The thread that checks SHA-crypt and bcrypt hashes. */
import { parentPort } from 'node:worker_threads';
import bcrypt from 'bcryptjs';
import { verify } from 'unixcrypt';
import { describeError } from '../../core/base/errors.ts';
import type { CryptAnswer, CryptQuestion } from './crypt.ts';

parentPort!.on('message', (question: CryptQuestion) => parentPort!.postMessage(answer(question)));

function answer({ id, kind, password, hash }: CryptQuestion): CryptAnswer {
  try {
    const right = kind === 'bcrypt' ? bcrypt.compareSync(password, hash) : verify(password, hash);
    return { id, right };
  } catch (error) {
    return { id, error: describeError(error) };
  }
}
