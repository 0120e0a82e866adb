/** A real registry (Debian's docker-registry) on a loopback port of its own, and one before it that misbehaves when told to. */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { until } from "./engine-fixture.ts";

/** Why there is none, in words, or undefined. */
export const registryObstacle: string | undefined =
  Bun.which("docker-registry") === null
    ? "this needs docker-registry (Debian's docker-registry)"
    : Bun.which("skopeo") === null
      ? "this needs skopeo"
      : undefined;

export interface RegistryFixture {
  /** `127.0.0.1:PORT`: the domain of its images' names. */
  readonly host: string;
  close(): Promise<void>;
}

/** Starts a registry that keeps its blobs in a temporary directory. */
export async function openRegistry(
  options: {
    /** Lines of an htpasswd file. */
    readonly htpasswd?: string;
    /** PEM files. */
    readonly tls?: {
      readonly certificate: string;
      readonly key: string;
      /** The authority of clients: without one of its certificates nobody gets in. */
      readonly clientAuthority?: string;
    };
    /** A token server, and the PEM file of the certificate that its tokens are signed by. */
    readonly tokens?: { readonly realm: string; readonly certificate: string };
  } = {},
): Promise<RegistryFixture> {
  const directory = mkdtempSync(join(tmpdir(), "tiffin-registry."));
  mkdirSync(join(directory, "data"));
  const port = await freePort();
  const host = `127.0.0.1:${port}`;
  const file = join(directory, "htpasswd");
  if (options.htpasswd !== undefined) writeFileSync(file, options.htpasswd);
  const config = {
    version: "0.1",
    log: { level: "error", accesslog: { disabled: true } },
    storage: { filesystem: { rootdirectory: join(directory, "data") } },
    http: {
      addr: host,
      ...(options.tls && { tls: tlsConfig(options.tls) }),
    },
    ...authConfig(options, file),
  };
  // YAML takes JSON as it is.
  writeFileSync(join(directory, "config.yml"), JSON.stringify(config));
  const child = spawn("docker-registry", ["serve", join(directory, "config.yml")], {
    stdio: "ignore",
  });
  if (options.tls?.clientAuthority !== undefined) await listens(port);
  const address = `${options.tls === undefined ? "http" : "https"}://${host}/v2/`;
  if (options.tls?.clientAuthority === undefined) {
    await until(`the registry answers at ${host}`, async () => answers(address));
  }
  return {
    host,
    close: async () => {
      await ended(child);
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

type Options = NonNullable<Parameters<typeof openRegistry>[0]>;

function tlsConfig({ certificate, key, clientAuthority }: NonNullable<Options["tls"]>): object {
  return { certificate, key, ...(clientAuthority && { clientcas: [clientAuthority] }) };
}

function authConfig({ htpasswd, tokens }: Options, file: string): object {
  if (tokens !== undefined) {
    const { realm, certificate } = tokens;
    const token = { realm, service: "tests", issuer: "tests", rootcertbundle: certificate };
    return { auth: { token } };
  }
  return htpasswd === undefined ? {} : { auth: { htpasswd: { realm: "r", path: file } } };
}

async function listens(port: number): Promise<void> {
  await until(`something listens on ${port}`, async () => {
    try {
      const socket = { data: (): undefined => undefined };
      (await Bun.connect({ hostname: "127.0.0.1", port, socket })).end();
      return true;
    } catch {
      return false;
    }
  });
}

async function ended(child: ChildProcess): Promise<void> {
  const exit = new Promise((resolve) => child.once("exit", resolve));
  child.kill("SIGTERM");
  await exit;
}

async function answers(address: string): Promise<boolean> {
  try {
    const init = { tls: { rejectUnauthorized: false } } as RequestInit;
    return [200, 401].includes((await fetch(address, init)).status);
  } catch {
    return false;
  }
}

async function freePort(): Promise<number> {
  const server = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data: () => undefined } });
  const { port } = server;
  server.stop(true);
  return port;
}

/** What stands between: gets each answer of the registry and gives another one, or undefined to let it through. */
export type Mischief = (
  request: Request,
  forward: () => Promise<Response>,
) => Promise<Response | undefined>;

export interface Double {
  readonly host: string;
  /** Paths that were asked for, with the Range field where there was one. */
  readonly asked: string[];
  mischief: Mischief;
  close(): Promise<void>;
}

/** A registry double: it forwards to a real one, except where `mischief` says otherwise. */
export function openDouble(registry: RegistryFixture): Double {
  const asked: string[] = [];
  const double = { mischief: async () => undefined } as { mischief: Mischief };
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    idleTimeout: 60,
    fetch: async (request) => {
      const { pathname, search } = new URL(request.url);
      const range = request.headers.get("range");
      asked.push(`${request.method} ${pathname}${range === null ? "" : ` ${range}`}`);
      const hasBody = !["GET", "HEAD"].includes(request.method);
      const forward = async (): Promise<Response> =>
        fetch(`http://${registry.host}${pathname}${search}`, {
          method: request.method,
          headers: request.headers,
          redirect: "manual",
          decompress: false,
          ...(hasBody ? { body: await request.bytes() } : {}),
        } as RequestInit);
      return (await double.mischief(request, forward)) ?? forward();
    },
  });
  return Object.assign(double, {
    host: `127.0.0.1:${server.port}`,
    asked,
    close: async () => server.stop(true),
  });
}

/** An answer that breaks off after so many bytes of the body. */
export async function cutAfter(response: Response, bytes: number): Promise<Response> {
  const content = await response.bytes();
  const body = new ReadableStream<Uint8Array>({
    start: (controller) => {
      controller.enqueue(content.subarray(0, bytes));
      setTimeout(() => controller.error(new Error("cut")), 100);
    },
  });
  return new Response(body, { status: response.status, headers: response.headers });
}
