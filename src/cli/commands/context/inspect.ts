import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { messageOf } from "../../../base/error.ts";
import type { Command, Context } from "../../command.ts";
import { type ContextMetadata, DEFAULT_CONTEXT, findContext } from "../../context-store.ts";
import { describe, failure } from "../../failure.ts";
import { text } from "../../flag.ts";
import { INSPECT_FORMAT_HELP } from "../../format-help.ts";

const format = text("format", INSPECT_FORMAT_HELP, { short: "f" });

export const command: Command = {
  usage: "[OPTIONS] [CONTEXT] [CONTEXT...]",
  summary: "Display detailed information on one or more contexts",
  examples: `# The socket of the engine in use
tiffin context inspect --format '{{.Endpoints.docker.Host}}'`,
  flags: [format],
  operands: { atLeast: 0 },
  run,
};

interface Inspected extends ContextMetadata {
  readonly TLSMaterial: Readonly<Record<string, readonly string[]>>;
  readonly Storage: { readonly MetadataPath: string; readonly TLSPath: string };
}

async function run(context: Context): Promise<number> {
  const { operands } = context.arguments;
  const chosen = context.arguments.get(format);
  const names = operands.length === 0 ? [context.places.context] : operands;
  const found: Inspected[] = [];
  const errors: string[] = [];
  for (const name of names) {
    try {
      found.push(inspected(context, name));
    } catch (error) {
      errors.push(describe(error));
    }
  }
  if (chosen === "" || chosen === "json") {
    await context.print(JSON.stringify(found, null, chosen === "" ? 4 : undefined));
  } else {
    const { Template } = await import("../../go-template/template.ts");
    try {
      const template = new Template(chosen);
      for (const one of found) await context.print(template.run(one, { missingKeyIsError: true }));
    } catch (error) {
      throw failure(`template parsing error: ${messageOf(error)}`);
    }
  }
  if (errors.length > 0) throw failure(errors.join("\n"));
  return 0;
}

function inspected({ world, places }: Context, name: string): Inspected {
  if (name === DEFAULT_CONTEXT) {
    return {
      Name: name,
      Metadata: {},
      Endpoints: { docker: { Host: places.defaultHost, SkipTLSVerify: false } },
      TLSMaterial: {},
      Storage: { MetadataPath: "<IN MEMORY>", TLSPath: "<IN MEMORY>" },
    };
  }
  const { metadata, metadataPath, tlsPath } = findContext(world.environment, name);
  const directory = join(tlsPath, "docker");
  const files = existsSync(directory) ? readdirSync(directory).toSorted() : [];
  return {
    ...metadata,
    TLSMaterial: files.length === 0 ? {} : { docker: files },
    Storage: { MetadataPath: metadataPath, TLSPath: tlsPath },
  };
}
