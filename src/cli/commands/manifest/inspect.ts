import { fullReference } from "../../../base/reference.ts";
import type { Command, Context } from "../../command.ts";
import { failure } from "../../failure.ts";
import { toggle } from "../../flag.ts";
import {
  inDockerForm,
  type ListedManifest,
  manifestReference,
  readList,
  readListed,
} from "../../manifest-store.ts";
import { fetchDocument, insecure } from "./registry-document.ts";

const verbose = toggle("verbose", "Output additional info including layers and platform", {
  short: "v",
});

export const command: Command = {
  usage: "[OPTIONS] [MANIFEST_LIST] MANIFEST",
  summary: "Display an image manifest, or manifest list",
  examples: `# For which platforms there is an image
tiffin manifest inspect debian:12
# One manifest of a list that is being put together
tiffin manifest inspect -v team/app:3 team/app:3-arm64`,
  flags: [insecure, verbose],
  operands: { between: [1, 2] },
  run,
};

async function run(context: Context): Promise<number> {
  const names = context.arguments.operands.map(manifestReference);
  const [reference, listed] = names;
  if (reference === undefined) return 1;
  const isVerbose = context.arguments.get(verbose);
  if (listed !== undefined) {
    const manifest = readListed(context.world, reference, listed);
    if (manifest === undefined) throw failure(`No such manifest: ${fullReference(listed)}`);
    await context.print(isVerbose ? indented(inDockerForm(manifest)) : raw(manifest.Raw));
    return 0;
  }
  const local = readList(context.world, reference);
  if (local !== undefined) {
    await context.print(isVerbose ? indented(local.map(inDockerForm)) : indexText(local));
    return 0;
  }
  const document = await fetchDocument(context, reference, { manifests: isVerbose });
  if (!isVerbose) await context.print(raw(document.Raw, document.Kind === "index" ? 3 : "\t"));
  else {
    const forms = document.Manifests.map(inDockerForm);
    await context.print(indented(document.Kind === "index" ? forms : forms[0]));
  }
  return 0;
}

function raw(base64: string, indent: string | number = "\t"): string {
  const content: unknown = JSON.parse(Buffer.from(base64, "base64").toString("utf8"));
  return JSON.stringify(content, undefined, indent);
}

function indented(value: unknown): string {
  return JSON.stringify(value, undefined, "\t");
}

/** The index as it would be pushed now. */
function indexText(manifests: readonly ListedManifest[]): string {
  const isOci = manifests.every(({ Descriptor: { mediaType } }) => mediaType.includes(".oci."));
  const mediaType = isOci
    ? "application/vnd.oci.image.index.v1+json"
    : "application/vnd.docker.distribution.manifest.list.v2+json";
  const entries = manifests.map(({ Descriptor: { mediaType: type, size, digest, platform } }) => ({
    mediaType: type,
    size,
    digest,
    platform,
  }));
  return JSON.stringify({ schemaVersion: 2, mediaType, manifests: entries }, undefined, 3);
}
