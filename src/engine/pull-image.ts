import { shortId } from "../base/digest.ts";
import { isTiffinError, TiffinError } from "../base/error.ts";
import { familiarReference, isTag, parseReference, type Reference } from "../base/reference.ts";
import type { Progress } from "../images/image-store.ts";
import { pullReport } from "../images/layer-report.ts";
import { hostPlatform, parsePlatform, type Platform } from "../images/manifest.ts";
import type { Credentials } from "../registry/credentials.ts";
import { openRepository, type Repository } from "../registry/repository.ts";
import { findRemoteImage } from "../registry/pull-image.ts";
import type { EngineContext } from "./context.ts";
import { registryAccess } from "./registry-access.ts";

export interface PullOptions {
  /** `linux/arm64`; "" is this machine's. */
  readonly platform: string;
  readonly credentials: Credentials | undefined;
  readonly report: (progress: Progress) => void;
  readonly signal: AbortSignal;
}

/**
 * Brings an image in from its registry, or all of a repository's tags when the name has neither tag nor digest; what is here
 * already is not fetched again. Reports in docker's words.
 *
 * @param name as users write it
 * @throws not-found, unauthenticated, permission-denied, unavailable; then no image stays, and what was downloaded
 *   goes on from there at the next try
 */
export async function pullImage(
  context: EngineContext,
  name: string,
  options: PullOptions,
): Promise<void> {
  const asked = parseReference(name);
  const repository = openRepository(asked, registryAccess(options.credentials));
  const isMarked = asked.tag !== undefined || asked.digest !== undefined;
  const references = isMarked ? [asked] : await tagged(asked, repository);
  let isNewer = false;
  for (const reference of references) {
    isNewer = (await pullOne(context, repository, reference, options)) || isNewer;
  }
  const familiar = familiarReference(asked);
  options.report({
    status: isNewer
      ? `Status: Downloaded newer image for ${familiar}`
      : `Status: Image is up to date for ${familiar}`,
  });
}

async function tagged(reference: Reference, repository: Repository): Promise<Reference[]> {
  const tags = (await repository.tags()).filter(isTag);
  if (tags.length === 0) {
    throw new TiffinError(
      "not-found",
      `Cannot pull ${familiarReference(reference)}: it has no tags`,
    );
  }
  return tags.map((tag) => ({ ...reference, tag }));
}

/** True when the name stands for another image than before. */
async function pullOne(
  context: EngineContext,
  repository: Repository,
  reference: Reference,
  options: PullOptions,
): Promise<boolean> {
  const familiar = familiarReference(reference);
  const { report, signal } = options;
  const platform = options.platform === "" ? hostPlatform() : parsePlatform(options.platform);
  const store = context.images.content;
  const found = await findRemoteImage({ repository, reference, platform, store, report, signal });
  report({ id: reference.tag ?? reference.digest ?? "", status: `Pulling from ${reference.path}` });
  for (const { descriptor } of found.source.layers) {
    report({ id: shortId(descriptor.digest), status: "Pulling fs layer" });
  }
  const before = idOf(context, familiar, platform);
  const id = await context.images.install(found.source, pullReport(report));
  report({ status: `Digest: ${found.digest}` });
  context.events.emit({
    type: "image",
    action: "pull",
    actorId: familiar,
    attributes: { name: familiar },
  });
  return before !== id;
}

function idOf({ images }: EngineContext, name: string, platform: Platform): string | undefined {
  try {
    return images.image(name, platform).id;
  } catch (error) {
    if (isTiffinError(error, "not-found")) return undefined;
    throw error;
  }
}
