/** Why a recipe stays as it is; `message` is a phrase for the author of the rcfile. */
export class CannotConvert extends Error {}
