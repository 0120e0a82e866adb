import { shortId } from "../base/digest.ts";
import { isTiffinError } from "../base/error.ts";
import { familiarReference, parseReference, withDefaultTag } from "../base/reference.ts";
import type { Image, Progress } from "../images/image-store.ts";
import { pullReport } from "../images/layer-report.ts";
import { hostPlatform, parsePlatform } from "../images/manifest.ts";
import type { Credentials } from "../registry/credentials.ts";
import { openRepository } from "../registry/repository.ts";
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
 * Brings an image in from its registry; what is here already is not fetched again. Reports in docker's words.
 *
 * @param name as users write it
 * @throws not-found, unauthenticated, permission-denied, unavailable, data-loss; then no image stays, and what was downloaded
 *   goes on from there at the next try
 */
export async function pullImage(
  context: EngineContext,
  name: string,
  options: PullOptions,
): Promise<Image> {
  const reference = withDefaultTag(parseReference(name));
  const familiar = familiarReference(reference);
  const { report, signal } = options;
  const platform = options.platform === "" ? hostPlatform() : parsePlatform(options.platform);
  const repository = openRepository(reference, registryAccess(options.credentials));
  const store = context.images.content;
  const found = await findRemoteImage({
    repository,
    reference,
    platform,
    store,
    report,
    signal,
  });
  report({ id: reference.tag ?? reference.digest ?? "", status: `Pulling from ${reference.path}` });
  for (const { descriptor } of found.source.layers) {
    report({ id: shortId(descriptor.digest), status: "Pulling fs layer" });
  }
  const before = idOf(context, familiar);
  const id = await context.images.install(found.source, pullReport(report));
  report({ status: `Digest: ${found.digest}` });
  report({
    status:
      before === id
        ? `Status: Image is up to date for ${familiar}`
        : `Status: Downloaded newer image for ${familiar}`,
  });
  context.events.emit({
    type: "image",
    action: "pull",
    actorId: familiar,
    attributes: { name: familiar },
  });
  return context.images.image(id);
}

function idOf({ images }: EngineContext, name: string): string | undefined {
  try {
    return images.image(name).id;
  } catch (error) {
    if (isTiffinError(error, "not-found")) return undefined;
    throw error;
  }
}
