/** What a test says of a scheduler that has no vectors yet: how they are made. */

/** @param name the class's */
export function noVectors(name: string): string {
  const file = `test/schedulers/vectors/${name}.json`;
  return (
    `no vectors of ${name}; write its cases into ${file}, such as [{"scheduler": "${name}", "config": {}, "steps": 7}, ` +
    `{"scheduler": "${name}", "config": {}, "steps": 10, "strength": 0.6}], ` +
    `then: .venv/bin/python reference/fill_scheduler_vectors.py ${file}`
  );
}
