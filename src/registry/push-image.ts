import { type Digest, shortId } from "../base/digest.ts";
import { Slots } from "../base/slots.ts";
import type { Progress } from "../images/image-store.ts";
import type { Descriptor } from "../images/manifest.ts";
import type { StoredImage } from "../images/stored-layer.ts";
import { putManifest } from "./put-manifest.ts";
import type { Repository } from "./repository.ts";
import { uploadBlob, type Uploaded } from "./upload-blob.ts";

/** Registries bound how much one client may have under way. */
const UPLOADS_AT_ONCE = 4;

export interface PushRequest {
  readonly repository: Repository;
  readonly image: StoredImage;
  readonly tag: string;
  /** A blob of the store. */
  readonly file: (digest: Digest) => Blob;
  /** Repositories of the same registry that have a layer, perhaps. */
  readonly mountFrom: readonly string[];
  readonly report: (progress: Progress) => void;
  readonly signal: AbortSignal;
}

/** Puts an image into a repository: layers side by side, then the configuration, then the manifest under its tag. */
export async function pushImage(request: PushRequest): Promise<Descriptor> {
  const { image, report } = request;
  const slots = new Slots(UPLOADS_AT_ONCE);
  const calledOff = new AbortController();
  const signal = AbortSignal.any([request.signal, calledOff.signal]);
  for (const { diffId } of image.layers) report({ id: shortId(diffId), status: "Preparing" });
  // An image may have the same layer twice.
  const layers = new Map(image.layers.map((layer) => [layer.descriptor.digest, layer]));
  const sending = [...layers.values()].map(({ diffId, descriptor }) =>
    slots.run(async () => {
      try {
        signal.throwIfAborted();
        await pushLayer({ ...request, signal }, shortId(diffId), descriptor);
      } catch (error) {
        calledOff.abort(error);
        throw error;
      }
    }),
  );
  await Promise.allSettled(sending);
  signal.throwIfAborted();
  await upload({ ...request, mountFrom: [], signal }, image.config, () => undefined);
  await putManifest(request.repository, request.tag, {
    mediaType: image.manifest.mediaType,
    bytes: image.manifestBytes,
    signal: request.signal,
  });
  const { digest, size } = image.manifest;
  report({ status: `${request.tag}: digest: ${digest} size: ${size}` });
  return image.manifest;
}

async function pushLayer(request: PushRequest, id: string, descriptor: Descriptor): Promise<void> {
  const { report } = request;
  const totalBytes = descriptor.size;
  const uploaded = await upload(request, descriptor, (currentBytes) =>
    report({ id, status: "Pushing", currentBytes, totalBytes }),
  );
  report({ id, status: WORDS[uploaded.how](uploaded) });
}

const WORDS: Readonly<Record<Uploaded["how"], (uploaded: Uploaded) => string>> = {
  here: () => "Layer already exists",
  sent: () => "Pushed",
  mounted: (uploaded) => `Mounted from ${uploaded.how === "mounted" ? uploaded.from : ""}`,
};

function upload(
  { repository, file, mountFrom, signal }: PushRequest,
  descriptor: Descriptor,
  onBytes: (bytes: number) => void,
): Promise<Uploaded> {
  const blob = file(descriptor.digest);
  return uploadBlob(repository, { descriptor, file: blob, mountFrom, onBytes, signal });
}
