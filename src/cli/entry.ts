/**
 * The program: what the launcher in `bin/` starts.
 */
import { main } from './main.ts';

const exitCode = await main(process.argv.slice(2));
// Not when the last handle is closed: a connection that a library keeps open would keep the process.
process.exit(exitCode);
