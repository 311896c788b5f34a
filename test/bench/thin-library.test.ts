/** A library for one GPU keeps the code that runs on it, and its size. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { writeThin } from '../../bench/gpu/thin-library.ts';

const place = mkdtempSync(join(tmpdir(), 'text2img-thin-'));
after(() => rmSync(place, { recursive: true, force: true }));

const [PTX, CUBIN] = [1, 2];
const ENTRY_HEADER = 64;

/** Data of four bytes, each the architecture. */
function entry(kind: number, architecture: number): Buffer {
  const bytes = Buffer.alloc(ENTRY_HEADER + 4, architecture);
  bytes.fill(0, 0, ENTRY_HEADER);
  bytes.writeUInt16LE(kind, 0);
  bytes.writeUInt32LE(ENTRY_HEADER, 4);
  bytes.writeBigUInt64LE(4n, 8);
  bytes.writeUInt32LE(architecture, 28);
  return bytes;
}

function container(...entries: readonly Buffer[]): Buffer {
  const data = Buffer.concat(entries);
  const header = Buffer.alloc(16);
  header.writeUInt32LE(0xba_55_ed_50, 0);
  header.writeUInt16LE(1, 4);
  header.writeUInt16LE(16, 6);
  header.writeBigUInt64LE(BigInt(data.length), 8);
  return Buffer.concat([header, data, Buffer.alloc((8 - (data.length % 8)) % 8)]);
}

/** An ELF file with the section and the table of names; only what is read. */
function library(section: Buffer, name = '.nv_fatbin'): string {
  const names = Buffer.from(`\0${name}\0.shstrtab\0`);
  const head = Buffer.alloc(64);
  const tableAt = head.length + section.length + names.length;
  head.writeBigUInt64LE(BigInt(tableAt), 0x28);
  head.writeUInt16LE(64, 0x3a);
  head.writeUInt16LE(2, 0x3c);
  head.writeUInt16LE(1, 0x3e);
  const row = (nameAt: number, offset: number, size: number): Buffer => {
    const bytes = Buffer.alloc(64);
    bytes.writeUInt32LE(nameAt, 0);
    bytes.writeBigUInt64LE(BigInt(offset), 0x18);
    bytes.writeBigUInt64LE(BigInt(size), 0x20);
    return bytes;
  };
  const rows = [row(1, head.length, section.length), row(name.length + 2, head.length + section.length, names.length)];
  const path = join(place, 'library.so');
  writeFileSync(path, Buffer.concat([head, section, names, ...rows]));
  return path;
}

/** Of each entry whose data is there. */
function architecturesIn(path: string): readonly number[] {
  const bytes = readFileSync(path);
  return [75, 80, 86, 89, 90, 120].filter((value) => bytes.includes(Buffer.alloc(4, value), 64));
}

test('code of other major numbers and of later minor numbers becomes zeros, in every container', () => {
  const from = library(
    Buffer.concat([
      container(entry(CUBIN, 75), entry(CUBIN, 80), entry(CUBIN, 86)),
      container(entry(CUBIN, 89), entry(CUBIN, 90)),
    ]),
  );
  const to = join(place, 'thin.so');
  assert.equal(writeThin(from, to, 90), 16);
  assert.deepEqual(architecturesIn(to), [90]);
  assert.equal(writeThin(from, to, 86), 12);
  assert.deepEqual(architecturesIn(to), [80, 86]);
  assert.equal(readFileSync(to).length, readFileSync(from).length);
});

test('code that the driver compiles stays', () => {
  const to = join(place, 'thin.so');
  writeThin(library(container(entry(PTX, 75), entry(CUBIN, 80))), to, 90);
  assert.deepEqual(architecturesIn(to), [75]);
});

test('a library without code for the GPU is refused, and so is one without the section', () => {
  const to = join(place, 'none.so');
  assert.throws(() => writeThin(library(container(entry(CUBIN, 75))), to, 90), /has no code for compute capability 9/);
  assert.throws(() => writeThin(library(container(entry(CUBIN, 90)), '.other'), to, 90), /no section \.nv_fatbin/);
});
