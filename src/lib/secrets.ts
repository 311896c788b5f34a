/**
 * Takes secrets out of text that is shown, logged or stored: user names, passwords and queries of URLs, tokens by their usual forms, private keys.
 * Every step takes linear time for any text.
 */

export const REDACTED = '[redacted]';

/** Between a URL's scheme and its host. */
const MARK = '://';
/** A URL in a sentence ends at any other character. */
const WORD = /[^\s"'<>`]+/g;
/** These characters end the part of a URL that may hold a user name and a password. */
const AUTHORITY_END = /[/?#]/g;
/** Schemes where an `@` behind the host belongs to the path. */
const WEB_SCHEME = /(?:^|[^a-z0-9+.-])(?:https?|wss?|gs|s3|file)$/i;
/** A host with at most a port. Something else is a user name with the beginning of a password that has a `/` in it. */
const HOST = /^(?:\[[^\]]*\]|[^:[\]]*)(?::\d*)?$/;
/** `cut` leaves this behind a text. */
const CUT_MARK = '…';

/** Forms that say by themselves that they are secret. Each begins with fixed letters, so that a match is not tried over and over. */
const SECRET_FORMS: readonly (readonly [RegExp, string])[] = [
  [/-----BEGIN [A-Z ]*PRIVATE KEY-----[^]*/g, REDACTED],
  [/\b(Bearer[ \t]+|authorization["']?[ \t]*[:=][ \t]*["']?(?:Basic[ \t]+)?)[\w.~+/=:-]+/gi, `$1${REDACTED}`],
  [/\b(hf_|whsec_|t2i_|ya29\.)(?:[\w.+/=-]{12,}|[\w.+/=-]+(?=…))/g, `$1${REDACTED}`],
  [/((?:password|passwd|passphrase|secret|token|api[_-]?key|signature)=)[^\s&"'<>]+/gi, `$1${REDACTED}`],
];

/** `mongodb://user:pass@host/db?x=y` → `mongodb://[redacted]@host/db?[redacted]`. */
export function withoutSecrets(text: string): string {
  let result = text.includes('://') ? text.replaceAll(WORD, withoutUrlSecrets) : text;
  for (const [form, replacement] of SECRET_FORMS) result = result.replaceAll(form, replacement);
  return result;
}

/** One word of a text; it may hold several URLs, one in the other. */
function withoutUrlSecrets(word: string): string {
  const firstMark = word.indexOf(MARK);
  if (firstMark === -1) return word;
  const lastAt = word.lastIndexOf('@');
  let result = '';
  let copied = 0;
  for (let mark = firstMark; mark !== -1; ) {
    const start = mark + MARK.length;
    const authority = authorityAt(word, mark);
    const at = credentialsEnd(authority, lastAt);
    if (at === -1 && mayEndInCredentials(word, authority))
      return `${result}${word.slice(copied, start)}${REDACTED}${CUT_MARK}`;
    // Somebody has left it out already.
    if (at !== -1 && word.slice(start, at) !== CUT_MARK) {
      result += word.slice(copied, start) + REDACTED;
      copied = at;
    }
    mark = word.indexOf(MARK, at === -1 ? authority.end : at);
  }
  return withoutQuery(result + word.slice(copied), firstMark);
}

interface Authority {
  readonly start: number;
  readonly end: number;
  /** Its last `@`; -1: it has none. */
  readonly at: number;
  /** A web address of the usual form. Elsewhere a password may hold `/`, `?` and `#`. */
  readonly isPlain: boolean;
}

function authorityAt(word: string, mark: number): Authority {
  const start = mark + MARK.length;
  AUTHORITY_END.lastIndex = start;
  const end = AUTHORITY_END.exec(word)?.index ?? word.length;
  const authority = word.slice(start, end);
  const at = authority.lastIndexOf('@');
  const isWeb = WEB_SCHEME.test(word.slice(Math.max(0, mark - 6), mark));
  return { start, end, at: at === -1 ? -1 : start + at, isPlain: isWeb && HOST.test(authority.slice(at + 1)) };
}

/** Where the `@` stands that ends user name and password; -1: there are none. */
function credentialsEnd({ start, at, isPlain }: Authority, lastAt: number): number {
  if (isPlain) return at;
  return lastAt < start ? -1 : lastAt;
}

/** A word that was cut before its `@`. */
function mayEndInCredentials(word: string, { end, isPlain }: Authority): boolean {
  return word.endsWith(CUT_MARK) && (end === word.length || !isPlain);
}

/** Queries, and fragments of the form `a=b`, carry tokens and signatures. */
function withoutQuery(word: string, firstMark: number): string {
  const query = word.indexOf('?', firstMark);
  const fragment = word.indexOf('#', firstMark);
  const starts = [query, word.includes('=', fragment) ? fragment : -1].filter((at) => at !== -1);
  const start = Math.min(...starts);
  // A question mark at the end is the sentence's.
  if (starts.length === 0 || !/[\w%]/.test(word.charAt(start + 1))) return word;
  return `${word.slice(0, start + 1)}${REDACTED}`;
}
