/** The value that the files of every kind of tokenizer yield. */
export interface ReadTokenizer {
  /** Tokens of a prompt with start, end and padding. */
  readonly maxTokens: number;
}
