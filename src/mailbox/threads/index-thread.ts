/** Entry of the index thread: messages are parsed and searched here, off the threads of connections and of folders. */
import { parentPort, workerData } from 'node:worker_threads';
import { systemClock } from '../../../core/base/clock.ts';
import { answerCalls } from './calls.ts';
import { createIndexCalls } from './index-calls.ts';
import type { StoreThreadOptions } from './store-calls.ts';
import { logToMain } from './thread-log.ts';

const port = parentPort!;
const { indexDirectory } = workerData as StoreThreadOptions;
answerCalls(port, createIndexCalls(indexDirectory, systemClock, logToMain(port)));
