/** OpenVINO's errors, in words for people: without the places in its own source. */

/** Its macros begin a message so (src/core/src/except.cpp: `Exception::make_what`). */
const PLACE = /^(?:Exception from \S+:\d+:|Check '.*' failed at \S+:\d+:)$/;

/** The lines that tell what happened, as one; empty where there is none. */
export function errorText(message: string): string {
  const lines = message.split('\n', MOST_LINES).map((line) => line.trim());
  return lines.filter((line) => line !== '' && !PLACE.test(line)).join(' ');
}

/** Longer messages repeat themselves for each layer of the library. */
const MOST_LINES = 40;
