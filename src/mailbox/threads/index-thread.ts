/** Entry of an index thread: messages are parsed and searched here, off the threads of connections and of folders. */
import { parentPort, workerData } from 'node:worker_threads';
import { systemClock } from '../../../core/base/clock.ts';
import { answerCalls } from './calls.ts';
import { createIndexCalls, type IndexFile } from './index-calls.ts';
import type { StoreThreadOptions } from './store-calls.ts';
import { logToMain } from './thread-log.ts';

const port = parentPort!;
const { indexDirectory, file } = workerData as StoreThreadOptions & { readonly file: IndexFile };
answerCalls(port, createIndexCalls(indexDirectory, file, systemClock, logToMain(port)));
