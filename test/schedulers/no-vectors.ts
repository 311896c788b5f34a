/** What a test says of a scheduler that has no vectors yet: the commands that make them. */

export interface VectorFile {
  /** In `reference/`. */
  readonly program: string;
  /** In `test/schedulers/`. */
  readonly file: string;
}

export function noVectors(name: string, { program, file }: VectorFile): string {
  return `no vectors of ${name}; add its cases to reference/${program}, then: .venv/bin/python reference/${program} > test/schedulers/${file}`;
}
