/** A TCP proxy that cuts connections, swallows replies after the server has done what it was asked, or holds them back. */
import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import type { AddressInfo } from 'node:net';

export class FaultProxy implements AsyncDisposable {
  readonly #server: Server;
  readonly #clients = new Set<Socket>();
  #dropReplies = 0;
  /** Replies that wait, while they are held. */
  #held: (() => void)[] | undefined;

  private constructor(targetPort: number) {
    this.#server = createServer((client) => this.#connect(client, targetPort));
  }

  static async start(targetPort: number): Promise<FaultProxy> {
    const proxy = new FaultProxy(targetPort);
    proxy.#server.listen(0, '127.0.0.1');
    await once(proxy.#server, 'listening');
    return proxy;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Every connection that is open now. */
  cutAll(): void {
    for (const client of this.#clients) client.destroy();
  }

  /** The next so many replies are not passed on; their connections are cut. */
  dropReplies(count: number): void {
    this.#dropReplies = count;
  }

  /** From now on the server seems to do nothing more; it does what it is asked. */
  holdReplies(): void {
    this.#held ??= [];
  }

  passReplies(): void {
    const held = this.#held ?? [];
    this.#held = undefined;
    for (const pass of held) pass();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.close();
    this.cutAll();
  }

  #connect(client: Socket, targetPort: number): void {
    const server = connect(targetPort, '127.0.0.1');
    this.#clients.add(client);
    const end = (): void => {
      this.#clients.delete(client);
      client.destroy();
      server.destroy();
    };
    client.on('error', end).on('close', end);
    server.on('error', end).on('close', end);
    client.pipe(server);
    server.on('data', (chunk) => {
      if (this.#dropReplies > 0) {
        this.#dropReplies--;
        return end();
      }
      if (this.#held === undefined) client.write(chunk);
      else this.#held.push(() => client.write(chunk));
    });
  }
}
