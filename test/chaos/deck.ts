/** The order in which faults come: each kind once, shuffled, before any comes twice; then each as often as its weight, shuffled again and again. */
import type { Meeting } from './coverage.ts';
import type { Random } from './random.ts';

export class Deck<Kind extends string> {
  readonly #weights: Readonly<Record<Kind, number>>;
  readonly #random: Random;
  #cards: Kind[];
  /** How often each has come. */
  readonly counts = new Map<Kind, number>();

  constructor(weights: Readonly<Record<Kind, number>>, random: Random) {
    this.#weights = weights;
    this.#random = random;
    this.#cards = random.shuffled(Object.keys(weights) as Kind[]);
  }

  draw(): Kind {
    if (this.#cards.length === 0) this.#cards = this.#random.shuffled(this.#whole());
    const kind = this.#cards.pop() as Kind;
    this.counts.set(kind, (this.counts.get(kind) ?? 0) + 1);
    return kind;
  }

  /** All kinds, those that never came included. */
  meetings(): readonly Meeting[] {
    return (Object.keys(this.#weights) as Kind[]).map((kind) => ({ what: kind, times: this.counts.get(kind) ?? 0 }));
  }

  #whole(): Kind[] {
    return (Object.entries(this.#weights) as [Kind, number][]).flatMap(([kind, weight]) =>
      Array.from({ length: weight }, () => kind),
    );
  }
}
