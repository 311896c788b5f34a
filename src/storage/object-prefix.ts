/** Where the names of stored images begin. Apart from the names, which need cryptography: the table of options reads it at every start. */

/** The names begin with this, unless the operator wants otherwise. */
export const DEFAULT_OBJECT_PREFIX = 'generated/';
