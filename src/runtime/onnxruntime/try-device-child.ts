/** Tries a device and writes its answers as JSON lines. It has its own process, because a provider that fails may crash its process. */
import { answerTrial } from '../answer-trial.ts';
import { tryDevice, tryFused } from './try-device.ts';

await answerTrial({ add: tryDevice, tryFused });
