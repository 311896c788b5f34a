/** Amounts of memory as sentences say them. */

/** `3.4 GB`; below a tenth in MB. */
export function gigabytesText(bytes: number): string {
  return bytes < 1e8 ? `${Math.ceil(bytes / 1e6)} MB` : `${(bytes / 1e9).toFixed(1)} GB`;
}
