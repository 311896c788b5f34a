/** Names the files that are given as a checkpoint and are something else, before their tensors are looked at. */
import { Text2ImgError } from '../../errors/text2img-error.ts';
import { openCheckpointFile } from '../checkpoint-file.ts';

/** Files of Python's pickle by their names; settings in upper case are as common. */
const PICKLE_NAME = /\.(?:bin|ckpt|pt|pth|pkl)$/i;
const TELLTALE_BYTES = 16;

/** @throws `unsafe_weights` for a pickle, `unsupported_class` for GGUF, `model_not_found` */
export async function refuseFile(path: string): Promise<void> {
  const start = await startOf(path);
  if (path.endsWith('.json'))
    throw new Text2ImgError(
      'model_not_found',
      `${path} is a file of a checkpoint in the diffusers layout; name its folder, or a .safetensors file.`,
    );
  if (start.toString('latin1', 0, 4) === 'GGUF')
    throw new Text2ImgError(
      'unsupported_class',
      `${path} is a GGUF file, whose quantised weights are not implemented. Use the model's .safetensors file.`,
    );
  if (isSafetensors(start)) return;
  const isPickle = isZip(start) || isOldPickle(start);
  if (!isPickle && !PICKLE_NAME.test(path)) return;
  const disguise = PICKLE_NAME.test(path) ? '' : ' under another name';
  throw new Text2ImgError(
    'unsafe_weights',
    `${path} is a pickle of PyTorch${disguise}, which can run code when it is read, so it is not opened. Use the model's .safetensors file. ` +
      'Or convert it once in Python: weights = torch.load(FILE, weights_only=True); ' +
      "safetensors.torch.save_file(weights.get('state_dict', weights), 'model.safetensors').",
  );
}

async function startOf(path: string): Promise<Buffer> {
  await using handle = await openCheckpointFile(path);
  const start = Buffer.alloc(TELLTALE_BYTES);
  const { bytesRead } = await handle.read(start, 0, TELLTALE_BYTES, 0);
  return start.subarray(0, bytesRead);
}

/** The length of a header of less than 4 GB, then the header. */
function isSafetensors(start: Buffer): boolean {
  return start.length > 8 && start.readUInt32LE(4) === 0 && start[8] === 0x7b;
}

/** PyTorch from 1.6 on. */
function isZip(start: Buffer): boolean {
  return start.toString('latin1', 0, 4) === 'PK\u0003\u0004';
}

/** PROTO, then a protocol from 2 to 5. */
function isOldPickle(start: Buffer): boolean {
  return start[0] === 0x80 && start[1] !== undefined && start[1] >= 2 && start[1] <= 5;
}
