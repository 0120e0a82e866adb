import type { Command, Context } from "../../command.ts";
import { failure } from "../../failure.ts";
import { list, text } from "../../flag.ts";
import { manifestReference, readListed, saveListed } from "../../manifest-store.ts";

const arch = text("arch", "Set architecture");
const os = text("os", "Set operating system");
const osFeatures = list("os-features", "Set operating system feature", { type: "strings" });
const osVersion = text("os-version", "Set operating system version");
const variant = text("variant", "Set architecture variant");

export const command: Command = {
  usage: "[OPTIONS] MANIFEST_LIST MANIFEST",
  summary: "Add additional information to a local image manifest",
  examples: `# What the image itself does not say
tiffin manifest annotate --os linux --arch arm64 --variant v8 team/app:3 team/app:3-arm64`,
  flags: [arch, os, osFeatures, osVersion, variant],
  operands: { exactly: 2 },
  run,
};

/** The combinations that docker's client lets through (Go's own list of targets). */
const ARCHITECTURES: Readonly<Record<string, readonly string[]>> = {
  darwin: ["386", "amd64", "arm", "arm64"],
  dragonfly: ["amd64"],
  freebsd: ["386", "amd64", "arm"],
  linux: ["386", "amd64", "arm", "arm64", "ppc64le", "mips64", "mips64le", "riscv64", "s390x"],
  netbsd: ["386", "amd64", "arm"],
  openbsd: ["386", "amd64", "arm"],
  plan9: ["386", "amd64"],
  solaris: ["amd64"],
  windows: ["386", "amd64"],
};

async function run(context: Context): Promise<number> {
  const given = context.arguments;
  const [target = "", name = ""] = given.operands;
  const listed = manifestReference(target);
  const manifest = readListed(context.world, listed, manifestReference(name));
  if (manifest === undefined) {
    throw failure(`manifest for image ${name} does not exist in ${target}`);
  }
  const before = manifest.Descriptor.platform ?? {};
  const features = [
    ...((before["os.features"] ?? []) as string[]),
    ...given.get(osFeatures).flatMap((words) => words.split(",")),
  ];
  const platform = {
    ...before,
    ...(given.get(arch) === "" ? {} : { architecture: given.get(arch) }),
    ...(given.get(os) === "" ? {} : { os: given.get(os) }),
    ...(given.get(osVersion) === "" ? {} : { "os.version": given.get(osVersion) }),
    ...(features.length === 0 ? {} : { "os.features": [...new Set(features)] }),
    ...(given.get(variant) === "" ? {} : { variant: given.get(variant) }),
  } as Record<string, unknown>;
  const [system, architecture] = [platform["os"], platform["architecture"]].map((word) =>
    typeof word === "string" ? word : "",
  );
  if (!ARCHITECTURES[system ?? ""]?.includes(architecture ?? "")) {
    throw failure(
      `manifest entry for image has unsupported os/arch combination: ${system}/${architecture}`,
    );
  }
  saveListed(context.world, listed, {
    ...manifest,
    Descriptor: { ...manifest.Descriptor, platform },
  });
  return 0;
}
