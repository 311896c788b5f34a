/**
 * The queues of this process report their changes of one file to one another. A server and its own worker have a connection each, and SQLite tells neither what the other
 * wrote. Other processes still have to look.
 */
export interface FileListener {
  /** A document may have become pending. */
  onPending(): void;
  /** The status of this job has changed. */
  onChange(id: string): void;
}

const listeners = new Map<string, Set<FileListener>>();

/** @param path the absolute path of the file @returns ends it */
export function listenToFile(path: string, listener: FileListener): () => void {
  const ofFile = listeners.get(path) ?? new Set();
  listeners.set(path, ofFile.add(listener));
  return () => {
    ofFile.delete(listener);
    if (ofFile.size === 0 && listeners.get(path) === ofFile) listeners.delete(path);
  };
}

export function tellPending(path: string): void {
  for (const listener of listeners.get(path) ?? []) listener.onPending();
}

export function tellChange(path: string, ids: readonly string[]): void {
  for (const listener of listeners.get(path) ?? []) for (const id of ids) listener.onChange(id);
}
