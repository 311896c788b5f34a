/**
 * `npm run bench:gpu -- --pack DIR`: what a machine with a driver, and without network and Node, needs to run the command: archives in parts of at most
 * 60 MB, their checksums, and one script that joins, checks, unpacks and runs them.
 */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import {
  chmodSync,
  closeSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { dataHome } from '../../src/config/user-folders.ts';
import { fetchCuda } from '../../src/runtime/onnxruntime/cuda/fetch-cuda.ts';
import type { GpuOptions } from './options.ts';
import { codeFiles, packageFiles, ROOT } from './pack-files.ts';
import { writeThin } from './thin-library.ts';

const SCRIPT = 'run.sh';
const CUDA_PROVIDER = 'libonnxruntime_providers_cuda.so';
const PROVIDER = /^libonnxruntime_providers_(?:cuda|shared)\.so$/;
/** ONNX Runtime's own library comes with its package. */
const OWN = 'libonnxruntime.so.1';

export interface Archive {
  readonly name: string;
  /** The folder that the files' paths begin at. */
  readonly from: string;
  readonly files: readonly string[];
}

interface PackedPart {
  readonly archive: string;
  readonly file: string;
  readonly sha256: string;
  readonly bytes: number;
}

type LibraryOptions = Pick<GpuOptions, 'libraries' | 'packLibraries' | 'packArchitecture'>;
type PackOptions = LibraryOptions & Pick<GpuOptions, 'packPartBytes'>;

/** @throws a sentence where tar or xz is missing, or the libraries cannot be had */
export async function writePack(folder: string, options: PackOptions): Promise<void> {
  const thin = mkdtempSync(join(tmpdir(), 'text2img-pack-'));
  try {
    await writeParts(await archives(options, thin), { folder, partBytes: options.packPartBytes, say: console.log });
  } finally {
    rmSync(thin, { recursive: true, force: true });
  }
  console.log(`Copy these files to one folder of the other machine, in any order, then: sh ${SCRIPT} --minutes 10`);
}

interface PartsOptions {
  readonly folder: string;
  readonly partBytes: number;
  readonly say?: (line: string) => void;
}

/** Replaces an earlier pack in the folder. */
export async function writeParts(
  contents: readonly Archive[],
  { folder, partBytes, say = () => undefined }: PartsOptions,
): Promise<void> {
  mkdirSync(folder, { recursive: true });
  for (const name of readdirSync(folder)) if (/\.tar\.xz\.\d+$/.test(name)) rmSync(join(folder, name));
  const parts: PackedPart[] = [];
  for (const archive of contents) {
    const packed = await writeArchive(archive, new PartWriter({ archive: archive.name, folder, partBytes }));
    parts.push(...packed);
    const megabytes = packed.reduce((sum, { bytes }) => sum + bytes, 0) / 1e6;
    say(`${archive.name}: ${archive.files.length} files, ${megabytes.toFixed(1)} MB in ${packed.length} parts`);
  }
  const template = readFileSync(fileURLToPath(new URL('pack-run.sh', import.meta.url)), 'utf8');
  const manifest = parts.map(({ archive, file, sha256 }) => `${sha256} ${file} ${archive}`).join('\n');
  writeFileSync(join(folder, SCRIPT), template.replace('@PARTS@', manifest));
  chmodSync(join(folder, SCRIPT), 0o755);
}

/** @param thin a folder for copies of libraries */
async function archives(options: LibraryOptions, thin: string): Promise<readonly Archive[]> {
  const own = [
    { name: 'code', from: ROOT, files: codeFiles() },
    { name: 'packages', from: ROOT, files: packageFiles() },
  ];
  const { libraries, packLibraries, packArchitecture } = options;
  if (packLibraries === 'none') return own;
  const from = libraries ?? (await fetchCuda({ dataHome: dataHome(process.env) }));
  const files = readdirSync(from).filter((name) => name !== OWN);
  const provider = { name: 'provider', from, files: files.filter((name) => PROVIDER.test(name)) };
  const cuda = { name: 'cuda', from, files: files.filter((name) => !PROVIDER.test(name)) };
  const wanted = packArchitecture === undefined ? provider : thinned(provider, thin, packArchitecture);
  return packLibraries === 'all' ? [...own, wanted, cuda] : [...own, wanted];
}

function thinned({ name, from, files }: Archive, thin: string, architecture: number): Archive {
  for (const file of files) {
    if (file === CUDA_PROVIDER) writeThin(join(from, file), join(thin, file), architecture);
    else copyFileSync(join(from, file), join(thin, file));
  }
  return { name, from: thin, files };
}

/** The same files make the same bytes, so a part that did not change need not be sent again. */
const TAR = [
  '--sort=name',
  '--mtime=@0',
  '--owner=0',
  '--group=0',
  '--numeric-owner',
  '--no-recursion',
  '--format=gnu',
];

async function writeArchive({ from, files }: Archive, parts: PartWriter): Promise<readonly PackedPart[]> {
  const tar = spawn('tar', ['--create', ...TAR, '--directory', from, '--files-from', '-'], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const xz = spawn('xz', ['--threads=0', '-6', '--stdout'], { stdio: ['pipe', 'pipe', 'inherit'] });
  const ended = Promise.all([endOf(tar, 'tar'), endOf(xz, 'xz')]);
  // Whoever fails first is told below.
  ended.catch(() => undefined);
  for (const input of [tar.stdin, xz.stdin]) input.on('error', () => undefined);
  tar.stdout.pipe(xz.stdin);
  tar.stdin.end(`${files.join('\n')}\n`);
  for await (const chunk of xz.stdout) parts.write(chunk as Buffer);
  const packed = parts.end();
  await ended;
  return packed;
}

async function endOf(child: ReturnType<typeof spawn>, name: string): Promise<void> {
  const [code] = (await once(child, 'close').catch((error: unknown) => {
    throw new Error(`${name} cannot be started; a pack needs the programs tar and xz`, { cause: error });
  })) as [number | null];
  if (code !== 0) throw new Error(`${name} ended with ${String(code)}`);
}

interface PartWriterOptions {
  readonly archive: string;
  readonly folder: string;
  readonly partBytes: number;
}

class PartWriter {
  readonly #options: PartWriterOptions;
  readonly #parts: PackedPart[] = [];
  #file: number | undefined;
  #hash = createHash('sha256');
  #bytes = 0;

  constructor(options: PartWriterOptions) {
    this.#options = options;
  }

  write(chunk: Buffer): void {
    for (let at = 0; at < chunk.length; ) {
      this.#file ??= openSync(join(this.#options.folder, this.#name()), 'w');
      const piece = chunk.subarray(at, at + this.#options.partBytes - this.#bytes);
      writeSync(this.#file, piece);
      this.#hash.update(piece);
      this.#bytes += piece.length;
      at += piece.length;
      if (this.#bytes === this.#options.partBytes) this.#close();
    }
  }

  end(): readonly PackedPart[] {
    this.#close();
    return this.#parts;
  }

  #name(): string {
    return `text2img-${this.#options.archive}.tar.xz.${String(this.#parts.length).padStart(2, '0')}`;
  }

  #close(): void {
    if (this.#file === undefined) return;
    closeSync(this.#file);
    const part = {
      archive: this.#options.archive,
      file: this.#name(),
      sha256: this.#hash.digest('hex'),
      bytes: this.#bytes,
    };
    this.#parts.push(part);
    this.#file = undefined;
    this.#hash = createHash('sha256');
    this.#bytes = 0;
  }
}
