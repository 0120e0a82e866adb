import { TiffinError } from "../base/error.ts";
import {
  familiarName,
  familiarReference,
  fullName,
  isTag,
  parseReference,
  type Reference,
} from "../base/reference.ts";
import { invalidArgument } from "../base/error.ts";
import type { Platform } from "../images/manifest.ts";
import type { Progress } from "../images/image-store.ts";
import type { Credentials } from "../registry/credentials.ts";
import { pushImage as pushTo } from "../registry/push-image.ts";
import { openRepository } from "../registry/repository.ts";
import type { EngineContext } from "./context.ts";
import { registryAccess } from "./registry-access.ts";

export interface PushOptions {
  /** "": all tags of the repository that are here. */
  readonly tag: string;
  /** Where the name stands for several: the image for this one. */
  readonly platform: Platform | undefined;
  readonly credentials: Credentials | undefined;
  readonly report: (progress: Progress) => void;
  /** A tag is in the registry. */
  readonly done: (pushed: Pushed) => void;
  readonly signal: AbortSignal;
}

export interface Pushed {
  readonly tag: string;
  readonly digest: string;
  readonly sizeBytes: number;
}

/**
 * Puts an image into its registry, under one tag or all of its repository's. Reports in docker's words.
 *
 * @param name of a repository, as users write it
 * @throws not-found when there is no such tag here; unauthenticated, permission-denied, unavailable
 */
export async function pushImage(
  context: EngineContext,
  name: string,
  options: PushOptions,
): Promise<void> {
  const asked = parseReference(name);
  if (asked.digest !== undefined) throw invalidArgument("cannot push a digest reference");
  const tag = options.tag || asked.tag;
  if (tag !== undefined && !isTag(tag)) throw invalidArgument(`invalid tag format: ${tag}`);
  const tags = tag === undefined ? localTags(context, asked) : [tag];
  const named = tags.map((one) => ({ ...asked, tag: one }));
  for (const reference of named) mustBeHere(context, reference);
  options.report({ status: `The push refers to repository [${fullName(asked)}]` });
  for (const reference of named) await pushOne(context, reference, options);
}

function localTags({ images }: EngineContext, { domain, path }: Reference): string[] {
  const found = images
    .images()
    .flatMap(({ repoTags }) => repoTags.map(parseReference))
    .filter((reference) => reference.domain === domain && reference.path === path)
    .flatMap(({ tag }) => tag ?? []);
  if (found.length > 0) return found.toSorted();
  throw notHere({ domain, path, tag: undefined, digest: undefined });
}

function mustBeHere({ images }: EngineContext, reference: Reference): void {
  const wanted = familiarReference(reference);
  if (!images.images().some(({ repoTags }) => repoTags.includes(wanted))) throw notHere(reference);
}

function notHere(reference: Reference): TiffinError {
  const words = `An image does not exist locally with the tag: ${familiarName(reference)}`;
  return new TiffinError("not-found", words, {
    hint: `Name one so with: tiffin tag IMAGE ${familiarReference(reference)}`,
  });
}

async function pushOne(
  context: EngineContext,
  reference: Reference & { readonly tag: string },
  { platform, credentials, report, done, signal }: PushOptions,
): Promise<void> {
  const { images } = context;
  const repository = openRepository(reference, registryAccess(credentials), { push: true });
  const familiar = familiarReference(reference);
  await images.forPush(
    images.image(familiar, platform).id,
    async (image) => {
      const { tag } = reference;
      const { digest, size } = await pushTo({
        repository,
        image,
        tag,
        file: (blob) => Bun.file(images.content.path(blob)),
        mountFrom: otherRepositories(context, image.id, reference),
        report,
        signal,
      });
      images.addDigest(image.id, { ...reference, tag: undefined, digest });
      done({ tag, digest, sizeBytes: size });
    },
    signal,
  );
  context.events.emit({
    type: "image",
    action: "push",
    actorId: familiar,
    attributes: { name: familiar },
  });
}

/** Repositories of the same registry that images with one of these layers came from, or went to. */
function otherRepositories(
  { images }: EngineContext,
  imageId: string,
  { domain, path }: Reference,
): string[] {
  const sharing = images
    .layerUse()
    .filter(({ imageIds }) => imageIds.includes(imageId))
    .flatMap(({ imageIds }) => imageIds);
  const paths = images
    .images()
    .filter(({ id }) => sharing.includes(id))
    .flatMap(({ repoDigests }) => repoDigests.map(parseReference))
    .filter((other) => other.domain === domain && other.path !== path)
    .map((other) => other.path);
  return [...new Set(paths)].slice(0, MOUNTS_TRIED);
}

const MOUNTS_TRIED = 3;
