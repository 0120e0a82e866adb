import { isTiffinError, TiffinError } from "../base/error.ts";
import { familiarName, type Reference } from "../base/reference.ts";
import type { RegistryDocument, Repository } from "./repository.ts";

/** What a reference with a tag or a digest stands for; a digest decides when it has both. @throws in docker's words */
export async function findDocument(
  repository: Repository,
  reference: Reference,
  signal: AbortSignal | undefined,
): Promise<RegistryDocument> {
  try {
    return await repository.manifest(reference.digest ?? reference.tag ?? "", signal);
  } catch (error) {
    throw explained(error, reference);
  }
}

/** Registries say little; docker's words say what it means. */
function explained(error: unknown, reference: Reference): unknown {
  if (!isTiffinError(error)) return error;
  const name = familiarName(reference);
  const { message } = error;
  const options = {
    cause: error,
    ...(error.details === undefined ? {} : { details: error.details }),
  };
  if (error.code === "not-found") {
    const mark = reference.digest ?? reference.tag;
    const separator = reference.digest === undefined ? ":" : "@";
    const words = `manifest for ${name}${separator}${mark} not found: ${message}`;
    return new TiffinError("not-found", words, options);
  }
  if (error.code === "unauthenticated" || error.code === "permission-denied") {
    return new TiffinError(
      error.code === "unauthenticated" ? "not-found" : error.code,
      `pull access denied for ${name}, repository does not exist or may require 'docker login': ${message}`,
      { ...options, hint: `Log in with: tiffin login ${reference.domain}` },
    );
  }
  return error;
}
