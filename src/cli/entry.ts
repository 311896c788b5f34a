/**
 * The program: what the launcher in `bin/` starts.
 */
import { main } from './main.ts';

process.exitCode = await main(process.argv.slice(2));
