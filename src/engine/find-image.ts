// In a checkout the file's path; in the release executable `bun build` embeds the file.
import builtinArchive from "../../build/hello.tar" with { type: "file" };
import { isTiffinError, TiffinError } from "../base/error.ts";
import { ensureBuiltinImage, isBuiltinImage } from "../images/builtin.ts";
import type { Image } from "../images/image-store.ts";
import type { Platform } from "../images/manifest.ts";
import type { EngineContext } from "./context.ts";

/** The image of a new container; the built-in one is unpacked when it is first asked for. @throws not-found */
export async function findImage(
  context: EngineContext,
  reference: string,
  platform?: Platform,
): Promise<Image> {
  try {
    return context.images.image(reference, platform);
  } catch (error) {
    if (!isTiffinError(error, "not-found")) throw error;
    if (isBuiltinImage(reference) && platform === undefined)
      return ensureBuiltinImage(context.images, builtinArchive);
    throw new TiffinError("not-found", error.message, {
      cause: error,
      hint: "Bring it in with tiffin pull, load or import; tiffin images lists what is there",
    });
  }
}
