/** Names in their spellings: `negativePrompt2` in code, `negative_prompt_2` in documents, `--negative-prompt-2` as a flag. */

/** `prompt_2`, `prompt-2` → `prompt2`. Commander names options in the same way. */
export function camelCase(name: string): string {
  return name.replaceAll(/[_-]([a-z\d])/g, (_, letter: string) => letter.toUpperCase());
}

/** `prompt2` → `prompt_2`. A number behind a letter is a word of its own. */
export function separated(name: string, separator: '_' | '-' | ' '): string {
  return name.replaceAll(/[A-Z]|(?<=[A-Za-z])\d+/g, (word) => separator + word.toLowerCase());
}
