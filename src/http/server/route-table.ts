/** The routes as they were registered, for what fastify does not say: whose a route is, and which methods a URL has. */
import type { FastifyInstance } from 'fastify';
import type { Door } from './door.ts';

interface KnownRoute {
  readonly form: RegExp;
  readonly methods: Set<string>;
}

export class RouteTable {
  readonly #routes = new Map<string, KnownRoute>();
  readonly #doors = new Map<string, Door>();
  readonly #allDoors: readonly Door[];

  constructor(doors: readonly Door[]) {
    this.#allDoors = doors;
  }

  /** Notes the routes that are registered on `app` from now on. @param door whose they are; undefined: the server's own */
  watch(app: FastifyInstance, door?: Door): void {
    app.addHook('onRoute', ({ url, method }) => {
      if (door !== undefined) this.#doors.set(url, door);
      const route = this.#routes.get(url) ?? { form: formOf(url), methods: new Set<string>() };
      for (const one of [method].flat()) route.methods.add(one);
      this.#routes.set(url, route);
    });
  }

  /** @param pattern of the route that was found; undefined: none was @returns undefined: nobody's */
  doorOf(pattern: string | undefined, path: string): Door | undefined {
    const byRoute = pattern === undefined ? undefined : this.#doors.get(pattern);
    if (byRoute !== undefined) return byRoute;
    const fitting = this.#allDoors.flatMap((door) =>
      door.prefixes
        .filter((prefix) => `${path}/`.startsWith(prefix))
        .map((prefix) => ({ door, length: prefix.length })),
    );
    return fitting.toSorted((a, b) => b.length - a.length)[0]?.door;
  }

  /** Sorted; empty: no route has this path. */
  methodsOf(path: string): readonly string[] {
    const routes = [...this.#routes.values()].filter(({ form }) => form.test(path));
    const methods = routes.flatMap((route) => [...route.methods]).filter((method) => method !== 'OPTIONS');
    return methods.length === 0 ? [] : [...new Set([...methods, 'OPTIONS'])].toSorted();
  }
}

/** `/a/:b.png` and `/a/*` as find-my-way reads them: a parameter ends at a slash, or at the text behind it. */
function formOf(url: string): RegExp {
  const parts = url.split(/(:[A-Za-z_]\w*|\*)/).map((part) => {
    if (part === '*') return '.*';
    if (/^:[A-Za-z_]/.test(part)) return '[^/]+?';
    return part.replaceAll(/[.+?^${}()|[\]\\]/g, String.raw`\$&`);
  });
  return new RegExp(`^${parts.join('')}$`);
}
