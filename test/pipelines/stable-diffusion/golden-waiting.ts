/**
 * Golden cases whose code is not there yet, by name, with what they wait for. The test draws them all the same and reports them as "todo".
 * Who brings the code takes the line out: from then on a wrong pixel is an error.
 */
export const WAITING: readonly { readonly cases: RegExp; readonly what: string }[] = [];
