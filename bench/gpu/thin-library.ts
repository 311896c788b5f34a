/**
 * A copy of a CUDA library that has machine code for one GPU only: that of others becomes zeros, which take no room in an archive.
 * Layout: ELF-64's section `.nv_fatbin`, as `cuobjdump` reads it. It is a list of containers, each a list of entries with a header of their own.
 */
import { readFileSync, writeFileSync } from 'node:fs';

const SECTION = '.nv_fatbin';
const CONTAINER_MAGIC = 0xba_55_ed_50;
/** An entry of machine code; others are code that the driver compiles, and stay. */
const MACHINE_CODE = 2;

/** @param architecture like 90, for compute capability 9.0 @returns bytes that became zeros @throws where no code of it is in the library */
export function writeThin(from: string, to: string, architecture: number): number {
  const bytes = readFileSync(from);
  const { kept, cleared } = clearOthers(bytes, sectionOf(bytes), architecture);
  if (kept === 0) throw new Error(`${from} has no code for compute capability ${architecture / 10}`);
  writeFileSync(to, bytes);
  return cleared;
}

interface Range {
  readonly from: number;
  readonly to: number;
}

function clearOthers(bytes: Buffer, { from, to }: Range, architecture: number): { kept: number; cleared: number } {
  let [kept, cleared] = [0, 0];
  for (let at = from; at + 16 <= to; ) {
    if (bytes.readUInt32LE(at) !== CONTAINER_MAGIC) {
      at += 8;
      continue;
    }
    const end = at + bytes.readUInt16LE(at + 6) + Number(bytes.readBigUInt64LE(at + 8));
    for (let entry = at + bytes.readUInt16LE(at + 6); entry < end; ) {
      const dataAt = entry + bytes.readUInt32LE(entry + 4);
      const dataEnd = dataAt + Number(bytes.readBigUInt64LE(entry + 8));
      if (dataEnd <= entry || dataEnd > end) throw new Error(`${SECTION} has an entry that does not fit into it`);
      const runs = bytes.readUInt16LE(entry) !== MACHINE_CODE || canRun(bytes.readUInt32LE(entry + 28), architecture);
      if (runs) kept++;
      else {
        bytes.fill(0, dataAt, dataEnd);
        cleared += dataEnd - dataAt;
      }
      entry = dataEnd;
    }
    at = from + Math.ceil((end - from) / 8) * 8;
  }
  return { kept, cleared };
}

/** Machine code runs on GPUs of its own major number, from its minor number on. */
function canRun(code: number, architecture: number): boolean {
  return Math.floor(code / 10) === Math.floor(architecture / 10) && code <= architecture;
}

/** Source: the ELF-64 specification, section headers. */
function sectionOf(bytes: Buffer): Range {
  const tableAt = Number(bytes.readBigUInt64LE(0x28));
  const [size, count, namesIndex] = [0x3a, 0x3c, 0x3e].map((at) => bytes.readUInt16LE(at)) as [number, number, number];
  const offsetOf = (index: number): number => Number(bytes.readBigUInt64LE(tableAt + index * size + 0x18));
  for (let index = 0; index < count; index++) {
    const nameAt = offsetOf(namesIndex) + bytes.readUInt32LE(tableAt + index * size);
    if (bytes.toString('latin1', nameAt, nameAt + SECTION.length + 1) !== `${SECTION}\0`) continue;
    const from = offsetOf(index);
    return { from, to: from + Number(bytes.readBigUInt64LE(tableAt + index * size + 0x20)) };
  }
  throw new Error(`the library has no section ${SECTION}`);
}
