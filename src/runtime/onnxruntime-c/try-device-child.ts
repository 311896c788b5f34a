/** Tries a device through the C API and prints its answer as one JSON line. It has its own process, because a provider that fails may crash its process. */
import { tryDevice } from './try-device.ts';

process.stdout.write(`${JSON.stringify(await tryDevice(process.argv[2] ?? ''))}\n`);
