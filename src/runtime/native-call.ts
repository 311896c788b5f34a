/** Calls of C libraries through koffi that answer with a status. This file does not load koffi. */

/** A function as koffi declares it. */
interface NativeFunction {
  (...parameters: readonly unknown[]): unknown;
  async(...parameters: readonly unknown[]): unknown;
}

/** A function that answers with a status. `later` runs it on a thread of its own. */
export interface StatusFunction<A extends readonly unknown[], S> {
  (...parameters: A): S;
  later(...parameters: A): Promise<S>;
}

/** Of calls that run. koffi does not keep a buffer from being collected while another thread writes into it. */
const running = new Set<readonly unknown[]>();

/** The caller says what the function's parameters and its status are. They stay in memory until a call has ended. */
export function statusFunction<A extends readonly unknown[], S>(native: NativeFunction): StatusFunction<A, S> {
  const later = async (...parameters: A): Promise<S> => {
    running.add(parameters);
    try {
      return await new Promise((resolve, reject) => {
        native.async(...parameters, (error: unknown, status: S) => {
          if (error === null || error === undefined) resolve(status);
          else reject(error);
        });
      });
    } finally {
      running.delete(parameters);
    }
  };
  return Object.assign((...parameters: A): S => native(...parameters) as S, { later });
}
