/** What a hook returned cannot be used: a failure like any other, so the plugin's policy decides. */
export class BadAnswer extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'BadAnswer';
  }
}
