/** A program beside others that adds three users to a file at once: `add-users.ts FILE NUMBER`. */
import { addUser } from '../../src/users/file.ts';

const [file, number] = process.argv.slice(2) as [string, string];
await Promise.all([1, 2, 3].map((index) => addUser(file, `u${number}-${index}@example.test`, 'secret')));
