/** Progress notifications of one call: the protocol wants each value above the one before, so what adds nothing is not sent. */
import type { ServerContext } from '@modelcontextprotocol/server';
import type { JobEvent } from '../front/front.ts';

type Request = ServerContext['mcpReq'];

/** @returns undefined where the client asked for no progress */
export function progressOf({ _meta, notify }: Request): ((event: JobEvent) => void) | undefined {
  const progressToken = _meta?.progressToken;
  if (progressToken === undefined) return undefined;
  let last = -1;
  return (event) => {
    const told = toldBy(event);
    if (told === undefined || told.progress <= last) return;
    last = told.progress;
    // A client that is gone gets nothing; the call's own end says so.
    void notify({ method: 'notifications/progress', params: { progressToken, ...told } }).catch(() => undefined);
  };
}

interface Told {
  readonly progress: number;
  readonly total?: number;
  readonly message: string;
}

/** The id comes first, so that a client that gives the call up can still ask for the images. */
function toldBy(event: JobEvent): Told | undefined {
  switch (event.type) {
    case 'status': {
      const { id, status, position } = event;
      return {
        progress: 0,
        message: `prompt ${id} is ${status}${position === undefined ? '' : `, jobs before it: ${position}`}`,
      };
    }
    case 'progress': {
      const { id, step, steps } = event;
      return { progress: step, total: steps, message: `prompt ${id}: step ${step} of ${steps}` };
    }
    case 'preview':
    case 'completed':
    case 'error':
      return undefined;
  }
}
