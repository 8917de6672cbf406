/** Entry of a store thread: folders of some accounts are read and changed here, off the threads of connections. */
import { parentPort, workerData } from 'node:worker_threads';
import { systemClock } from '../../../core/base/clock.ts';
import { answerCalls } from './calls.ts';
import { createStoreCalls, type StorePush, type StoreThreadOptions } from './store-calls.ts';
import { logToMain } from './thread-log.ts';

const port = parentPort!;
const push = (value: StorePush) => port.postMessage({ push: value });
answerCalls(port, createStoreCalls(workerData as StoreThreadOptions, systemClock, logToMain(port), push));
