/** Tries a device and prints its answer as one JSON line: a process of its own, because a provider that fails may take its process along. */
import { tryDevice } from './try-device.ts';

process.stdout.write(`${JSON.stringify(await tryDevice(process.argv[2] ?? ''))}\n`);
