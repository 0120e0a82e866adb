/** Images put into a registry without any engine: a script over the protocol, so that tests know every byte. */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";
import { tarArchive } from "../../src/layers/tar-writer.ts";
import { MEDIA_TYPE } from "../../src/images/manifest.ts";

type Entries = Parameters<typeof tarArchive>[0];

export interface PutImage {
  readonly architecture?: string;
  readonly command?: readonly string[];
  /** The entries of each layer, the lowest first. */
  readonly layers: readonly Entries[];
}

export interface PutDescriptor {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
  readonly platform?: object;
}

/** A layer with busybox as /bin/busybox, which runs without any other file. */
export function busyboxLayer(): Entries {
  const content = readFileSync(Bun.which("busybox") ?? "");
  return [
    { type: "directory", path: "bin", mode: 0o755 },
    { type: "file", path: "bin/busybox", mode: 0o755, content },
  ];
}

/** Puts an image into `http://HOST/v2/REPOSITORY`, under a tag when there is one. */
export async function putImage(
  host: string,
  [repository, tag]: readonly [string, (string | undefined)?],
  image: PutImage,
): Promise<PutDescriptor> {
  const tars = image.layers.map((entries) => tarArchive(entries));
  const layers: PutDescriptor[] = [];
  for (const tar of tars) {
    layers.push(await putBlob(host, repository, gzipSync(tar), `${MEDIA_TYPE.ociLayer}+gzip`));
  }
  const { architecture = "amd64", command = ["/bin/busybox", "echo", "pulled"] } = image;
  const config = {
    architecture,
    os: "linux",
    config: { Cmd: command },
    rootfs: { type: "layers", diff_ids: tars.map(digest) },
  };
  const configuration = await putBlob(host, repository, json(config), MEDIA_TYPE.ociConfig);
  const manifest = {
    schemaVersion: 2,
    mediaType: MEDIA_TYPE.ociManifest,
    config: configuration,
    layers,
  };
  const put = await putManifest(host, [repository, tag], manifest);
  return { ...put, platform: { os: "linux", architecture } };
}

/** Puts an index of such images under a tag. */
export function putIndex(
  host: string,
  name: readonly [string, string],
  manifests: readonly PutDescriptor[],
): Promise<PutDescriptor> {
  return putManifest(host, name, { schemaVersion: 2, mediaType: MEDIA_TYPE.ociIndex, manifests });
}

/** Puts any manifest, under a tag or its digest. */
export async function putManifest(
  host: string,
  [repository, tag]: readonly [string, (string | undefined)?],
  content: { readonly mediaType: string } & Record<string, unknown>,
): Promise<PutDescriptor> {
  const bytes = json(content);
  const mediaType = content.mediaType;
  const mark = tag ?? digest(bytes);
  await expectCreated(
    await fetch(`http://${host}/v2/${repository}/manifests/${mark}`, {
      method: "PUT",
      headers: { "content-type": mediaType },
      body: bytes,
    }),
  );
  return { mediaType, digest: digest(bytes), size: bytes.length };
}

export async function putBlob(
  host: string,
  repository: string,
  bytes: Uint8Array<ArrayBuffer>,
  mediaType: string,
): Promise<PutDescriptor> {
  const start = await fetch(`http://${host}/v2/${repository}/blobs/uploads/`, { method: "POST" });
  const place = new URL(start.headers.get("location") ?? "", `http://${host}`);
  place.searchParams.set("digest", digest(bytes));
  await expectCreated(await fetch(place, { method: "PUT", body: bytes }));
  return { mediaType, digest: digest(bytes), size: bytes.length };
}

async function expectCreated(response: Response): Promise<void> {
  if (response.status !== 201) throw new Error(`${response.status}: ${await response.text()}`);
}

function json(content: unknown): Buffer<ArrayBuffer> {
  return Buffer.from(JSON.stringify(content));
}

function digest(bytes: Uint8Array): string {
  return `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
}
