/** One piece of work after the other, in the order in which they were asked for. */
export class Lane {
  #last: Promise<unknown> = Promise.resolve();

  /** Resolves or rejects as the work does; what came before has ended by then, however. */
  run<T>(work: () => Promise<T> | T): Promise<T> {
    const turn = this.#last.then(work);
    this.#last = turn.then(noop, noop);
    return turn;
  }
}

function noop(): void {}
