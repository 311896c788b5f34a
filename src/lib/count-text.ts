/** How many of something, as people write it. */

/** `1 webhook`, `2 webhooks`. */
export function countText(count: number, one: string, several: string): string {
  return `${count} ${count === 1 ? one : several}`;
}
