/**
 * What a run should meet, and what it did. A kind that never came is said loudly, because nothing is known of it then. It fails the run only where the
 * service had enough chances to show it: a run that was too short, or too slow, is bad luck.
 */

export interface Meeting {
  readonly what: string;
  readonly times: number;
  /** How often the service could have shown it. Absent: it is chosen by chance, so that its absence is never the service's fault. */
  readonly chances?: number;
}

/** So many chances without a single success are no bad luck: each of them alone is more likely than not. */
const ENOUGH_CHANCES = 10;

export function isFault({ times, chances = 0 }: Meeting): boolean {
  return times === 0 && chances >= ENOUGH_CHANCES;
}

/** For people, one line each. */
export function coverageLines(meetings: readonly Meeting[]): readonly string[] {
  const missing = meetings.filter(({ times }) => times === 0);
  return missing.map((meeting) => {
    const { what, chances } = meeting;
    const of = chances === undefined ? '' : ` in ${chances} chances`;
    return isFault(meeting)
      ? `NEVER HAPPENED${of}, which is a fault of the service: ${what}`
      : `NOT MET${of}, so that nothing is known of it after this run: ${what}`;
  });
}
