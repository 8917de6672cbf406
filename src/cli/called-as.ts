/** How the user calls this program, for commands that a message tells to type. */

/** npx puts its name into the environment; npm's scripts run in a clone, where npx finds the command. */
export const calledAs = process.env.npm_lifecycle_event === undefined ? 'mailfilter' : 'npx mailfilter';
