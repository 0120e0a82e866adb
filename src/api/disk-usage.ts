import { invalidArgument } from "../base/error.ts";
import type { Engine } from "../engine/engine.ts";
import { sharedBytes, totalBytes } from "../images/layer-use.ts";
import { isAtLeast } from "./api-version.ts";
import { summarizer } from "./container-list.ts";
import { summarizeImage } from "./image-json.ts";
import { json, type JsonReply } from "./reply.ts";
import type { ApiRequest } from "./request.ts";
import { volumesWithUsage } from "./volumes.ts";

const KINDS = ["container", "image", "volume", "build-cache"];

/** `GET /system/df?type=…`; without a type everything is counted. */
export async function diskUsage(request: ApiRequest): Promise<JsonReply> {
  const { engine, query, version } = request;
  const types = isAtLeast(version, 1, 42) ? query.getAll("type") : [];
  const unknown = types.find((type) => !KINDS.includes(type));
  if (unknown !== undefined) throw invalidArgument(`unknown object type: ${unknown}`);
  const wants = (type: string): boolean => types.length === 0 || types.includes(type);
  return json({
    LayersSize: wants("image") ? totalBytes(engine.images.layerUse()) : 0,
    Images: wants("image") ? summarizeImages(request) : null,
    Containers: wants("container") ? await summarizeContainers(engine) : null,
    Volumes: wants("volume") ? await volumesWithUsage(engine) : null,
    BuildCache: wants("build-cache") ? [] : null,
    ...(isAtLeast(version, 1, 42) ? {} : { BuilderSize: 0 }),
    ...(wants("image") ? { TiffinBlobs: blobUsage(engine) } : {}),
  });
}

/** Bytes beside the unpacked layers: layers as they came from registries, documents, and downloads that were not finished. */
function blobUsage({ images: { content } }: Engine): { Stored: number; Unfinished: number } {
  const sum = (sizes: readonly number[]): number => sizes.reduce((all, size) => all + size, 0);
  return {
    Stored: sum(content.digests().map((digest) => content.sizeBytes(digest))),
    Unfinished: sum(content.partials().map(({ sizeBytes }) => sizeBytes)),
  };
}

function summarizeImages({ engine, version }: ApiRequest): object[] {
  const containers = engine.containers();
  const shared = sharedBytes(engine.images.layerUse());
  return engine.images.images().map((image) => {
    const users = containers.filter(({ imageId }) => imageId === image.id).length;
    return { ...summarizeImage(image, version, users), SharedSize: shared.get(image.id) ?? 0 };
  });
}

async function summarizeContainers(engine: Engine): Promise<object[]> {
  const summarize = summarizer(engine, true);
  const summaries: object[] = [];
  for (const container of engine.containers()) summaries.push(await summarize(container));
  return summaries;
}
