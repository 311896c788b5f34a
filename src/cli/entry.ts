/**
 * The program: what the launcher in `bin/` starts. The only reader of the arguments and of `process.env`.
 */
import { main } from './main.ts';

const exitCode = await main({ args: process.argv.slice(2), environment: process.env });
// Not when the last handle is closed: a connection that a library keeps open would keep the process.
process.exit(exitCode);
