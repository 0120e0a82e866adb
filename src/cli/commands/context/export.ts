import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { messageOf } from "../../../base/error.ts";
import type { Command, Context } from "../../command.ts";
import { checkContextName, findContext, type StoredContext } from "../../context-store.ts";
import { failure } from "../../failure.ts";
import { openError } from "../../file-error.ts";
import { type SmallFile, writeSmallTar } from "../../small-tar.ts";

export const command: Command = {
  usage: "CONTEXT [FILE|-]",
  summary: "Export a context to a tar archive FILE or a tar stream on STDOUT",
  examples: `# To lab.dockercontext, for another machine
tiffin context export lab
# There at once
tiffin context export lab - | ssh other tiffin context import lab -`,
  flags: [],
  operands: { atLeast: 1 },
  run,
};

async function run(context: Context): Promise<number> {
  const [name = "", given, ...more] = context.arguments.operands;
  if (more.length > 0) {
    throw failure("tiffin: 'tiffin context export' requires at least 1 and at most 2 arguments");
  }
  checkContextName(name);
  const archive = archiveOf(findContext(context.world.environment, name));
  const file = given ?? `${name}.dockercontext`;
  if (file === "-") {
    if (await context.world.output.outIsTerminal()) {
      throw failure("cowardly refusing to export to a terminal, please specify a file path");
    }
    await context.world.output.out(archive);
    return 0;
  }
  try {
    writeFileSync(file, archive, { flag: "wx", mode: 0o600 });
  } catch (error) {
    if ((error as { code?: string }).code === "EEXIST") throw failure(`open ${file}: file exists`);
    throw failure(messageOf(openError(file, error)));
  }
  await context.warn(`Written file ${JSON.stringify(file)}`);
  return 0;
}

function archiveOf({ metadata, tlsPath }: StoredContext): Uint8Array {
  const meta: SmallFile = {
    name: "meta.json",
    mode: 0o644,
    bytes: Buffer.from(JSON.stringify(metadata)),
  };
  const directories = existsSync(tlsPath) ? readdirSync(tlsPath) : [];
  const certificates = directories.flatMap((directory) =>
    readdirSync(join(tlsPath, directory)).map(
      (file): SmallFile => ({
        name: `tls/${directory}/${file}`,
        mode: 0o600,
        bytes: readFileSync(join(tlsPath, directory, file)),
      }),
    ),
  );
  const places = ["tls", ...directories.map((directory) => `tls/${directory}`)];
  return writeSmallTar([
    meta,
    ...places.map((name): SmallFile => ({ name, mode: 0o700, bytes: null })),
    ...certificates,
  ]);
}
