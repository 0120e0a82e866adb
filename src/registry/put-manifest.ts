import type { Repository } from "./repository.ts";

/** Puts a manifest or an index into a repository, under a tag or its digest (distribution-spec v1.1.1, "Pushing Manifests"). */
export async function putManifest(
  { origin, path, scopes }: Repository,
  tagOrDigest: string,
  content: {
    readonly mediaType: string;
    readonly bytes: Uint8Array;
    readonly signal: AbortSignal;
  },
): Promise<void> {
  const response = await origin.send({
    method: "PUT",
    target: `/v2/${path}/manifests/${tagOrDigest}`,
    headers: { "content-type": content.mediaType },
    body: content.bytes,
    scopes,
    expected: [200, 201, 202, 204],
    signal: content.signal,
  });
  await response.body?.cancel();
}
