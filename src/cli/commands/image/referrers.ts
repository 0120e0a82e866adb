import { shortId } from "../../../base/digest.ts";
import { fullReference, parseReference, withDefaultTag } from "../../../base/reference.ts";
import { humanSize } from "../../../base/size.ts";
import type { Command, Context } from "../../command.ts";
import { text, toggle } from "../../flag.ts";
import { FORMAT_HELP } from "../../format-help.ts";
import { type Listing, plainTable, type Row } from "../../listing.ts";
import { registryAuthHeader } from "../../registry-login/registry-auth.ts";

const artifactType = text("artifact-type", "Only those of this type");
const format = text("format", FORMAT_HELP);
const noTrunc = toggle("no-trunc", "Don't truncate output");

export const command: Command = {
  usage: "[OPTIONS] NAME[:TAG|@DIGEST]",
  summary: "List what in the registry refers to an image: signatures, bills of materials",
  examples: `# The signatures of an image
tiffin image referrers --artifact-type application/vnd.dev.cosign.artifact.sig.v1+json registry.example/app:3`,
  flags: [artifactType, format, noTrunc],
  operands: { exactly: 1 },
  run,
};

/** An entry of GET /tiffin/registry/referrers. */
interface Referrer {
  readonly MediaType: string;
  readonly Digest: string;
  readonly Size: number;
  readonly ArtifactType: string;
  readonly Annotations: Readonly<Record<string, string>>;
}

const LISTING: Listing = {
  headers: {
    Digest: "DIGEST",
    ArtifactType: "ARTIFACT TYPE",
    Size: "SIZE",
    MediaType: "MEDIA TYPE",
    Annotations: "ANNOTATIONS",
  },
  columns: ["Digest", "ArtifactType", "Size", "Annotations"],
  raw: [
    ["digest", "Digest"],
    ["artifact_type", "ArtifactType"],
  ],
};

async function run(context: Context): Promise<number> {
  const given = context.arguments;
  const [name = ""] = given.operands;
  const reference = withDefaultTag(parseReference(name));
  const headers = await registryAuthHeader(context.world, reference.domain);
  const query = { reference: fullReference(reference), artifactType: given.get(artifactType) };
  const path = "/tiffin/registry/referrers";
  const found = (await context.api.json("GET", path, { query, headers })) as Referrer[];
  const rows = found.map((referrer) => referrerRow(referrer, !given.get(noTrunc)));
  const chosen = given.get(format);
  if (chosen === "" || chosen === "table") {
    await context.world.output.out(plainTable(LISTING, rows));
    return 0;
  }
  const { formatList, structOf } = await import("../../format-list.ts");
  const structs = rows.map((row) => structOf("*formatter.referrerContext", row));
  await context.world.output.out(formatList(chosen, LISTING, structs));
  return 0;
}

function referrerRow(referrer: Referrer, truncate: boolean): Row {
  return {
    Digest: () => (truncate ? shortId(referrer.Digest) : referrer.Digest),
    ArtifactType: () => referrer.ArtifactType,
    MediaType: () => referrer.MediaType,
    Size: () => humanSize(referrer.Size),
    Annotations: () =>
      Object.entries(referrer.Annotations)
        .map((pair) => pair.join("="))
        .join(","),
  };
}
