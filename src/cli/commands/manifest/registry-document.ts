import { fullReference, type Reference } from "../../../base/reference.ts";
import type { Context } from "../../command.ts";
import { toggle } from "../../flag.ts";
import type { Flag } from "../../flag.ts";
import type { ListedManifest } from "../../manifest-store.ts";
import { registryAuthHeader } from "../../registry-login/registry-auth.ts";

/** What GET /tiffin/registry/manifest answers. */
export interface RegistryDocument {
  readonly Kind: "manifest" | "index";
  readonly MediaType: string;
  readonly Digest: string;
  /** In base64. */
  readonly Raw: string;
  readonly Manifests: readonly ListedManifest[];
}

/** docker's flag: with Tiffin the engine's settings say how each registry is reached. */
export const insecure: Flag<boolean> = toggle(
  "insecure",
  "Taken for docker's sake: registries.json says which registries are insecure",
);

/** What a name stands for in its registry. @throws the engine's error */
export async function fetchDocument(
  context: Context,
  reference: Reference,
  { manifests }: { readonly manifests: boolean },
): Promise<RegistryDocument> {
  const headers = await registryAuthHeader(context.world, reference.domain);
  const query = { reference: fullReference(reference), ...(manifests ? { manifests: 1 } : {}) };
  const answer = await context.api.json("GET", "/tiffin/registry/manifest", { query, headers });
  return answer as RegistryDocument;
}
