/** A Python package with libraries, pinned by its checksum. Its file is a ZIP archive. */

export interface Wheel {
  readonly name: string;
  readonly version: string;
  /** Below the index's folder of packages. */
  readonly path: string;
  readonly sha256: string;
  readonly sizeBytes: number;
  /** The files of it that are wanted. */
  readonly wanted: RegExp;
}
