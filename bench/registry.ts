import { createHash } from "node:crypto";
import { mkdtempSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { whenDone } from "./clean-up.ts";
import { endDaemon } from "./engine.ts";
import { scratch } from "./scratch.ts";

const PATIENCE_MS = 20_000;

/** A registry (Debian's docker-registry) on a loopback port of its own, which all engines pull from. */
export interface Registry {
  /** `127.0.0.1:PORT`: the domain of its images' names. */
  readonly host: string;
}

/** Starts one that keeps its blobs in the scratch directory; it ends with the run. */
export async function startRegistry(): Promise<Registry> {
  const directory = mkdtempSync(join(scratch(), "registry."));
  const host = `127.0.0.1:${freePort()}`;
  const configuration = join(directory, "config.yml");
  // YAML takes JSON as it is.
  writeFileSync(
    configuration,
    JSON.stringify({
      version: "0.1",
      log: { level: "error", accesslog: { disabled: true } },
      storage: { filesystem: { rootdirectory: join(directory, "data") } },
      http: { addr: host },
    }),
  );
  const daemon = Bun.spawn(["docker-registry", "serve", configuration], {
    stdio: ["ignore", "ignore", "ignore"],
    detached: true,
  });
  whenDone(() => endDaemon(daemon));
  await untilItAnswers(host);
  return { host };
}

function freePort(): number {
  const server = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data: () => undefined } });
  const { port } = server;
  server.stop(true);
  return port;
}

async function untilItAnswers(host: string): Promise<void> {
  const deadline = Date.now() + PATIENCE_MS;
  for (;;) {
    try {
      const { ok } = await fetch(`http://${host}/v2/`);
      if (ok) return;
    } catch (error) {
      if (Date.now() > deadline) throw error;
    }
    await Bun.sleep(50);
  }
}

/** Uploads a blob in one piece (distribution-spec v1.1.1, "Pushing blobs"). */
export async function pushBlob(
  { host }: Registry,
  repository: string,
  blob: { readonly digest: string; readonly content: Blob | Uint8Array },
): Promise<void> {
  const { digest, content } = blob;
  const begun = await fetch(`http://${host}/v2/${repository}/blobs/uploads/`, { method: "POST" });
  const target = new URL(begun.headers.get("location") ?? "", `http://${host}`);
  target.searchParams.set("digest", digest);
  const body = content instanceof Blob ? content : new Blob([Buffer.from(content)]);
  await accepted(await fetch(target, { method: "PUT", body }), `blob ${digest}`);
}

export async function pushManifest(
  { host }: Registry,
  name: { readonly repository: string; readonly tag: string },
  manifest: { readonly mediaType: string; readonly bytes: Uint8Array },
): Promise<void> {
  const answer = await fetch(`http://${host}/v2/${name.repository}/manifests/${name.tag}`, {
    method: "PUT",
    headers: { "content-type": manifest.mediaType },
    body: Buffer.from(manifest.bytes),
  });
  await accepted(answer, `manifest ${name.repository}:${name.tag}`);
}

async function accepted(answer: Response, what: string): Promise<void> {
  if (!answer.ok) {
    throw new Error(`the registry refuses ${what}: ${answer.status} ${await answer.text()}`);
  }
}

/** `sha256:` and hexadecimal digits. */
export function digestOf(bytes: Uint8Array): string {
  return `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
}
