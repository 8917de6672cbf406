/** A thread that finds a daemon absent, tells what it was told to do about it, and ends. */
import { parentPort, workerData } from 'node:worker_threads';
import { daemonSlot } from '../../../core/net/daemon-board.ts';

const { name, now } = workerData as { name: string; now: number };
const slot = daemonSlot(name);
const claim = slot.claim(now, now + 1000);
parentPort!.postMessage({ claim, down: slot.fails(now, 'nobody there', true) });
