import { readFileSync, statSync } from "node:fs";
import { messageOf } from "../../../base/error.ts";
import type { Command, Context } from "../../command.ts";
import {
  checkContextName,
  parseMetadata,
  readContext,
  writeCertificate,
  writeContext,
} from "../../context-store.ts";
import { failure } from "../../failure.ts";
import { openError } from "../../file-error.ts";
import { standardInput } from "../../input.ts";
import { readSmallTar, type SmallFile } from "../../small-tar.ts";

export const command: Command = {
  usage: "CONTEXT FILE|-",
  summary: "Import a context from a tar file",
  examples: `# What docker or tiffin exported, under a name of its own
tiffin context import lab lab.dockercontext`,
  flags: [],
  operands: { exactly: 2 },
  run,
};

/** docker's bound. */
const LARGEST_BYTES = 10 << 20;
const CERTIFICATE = /^tls\/(docker\/(?:ca|cert|key)\.pem)$/;

async function run(context: Context): Promise<number> {
  const { environment } = context.world;
  const [name = "", file = ""] = context.arguments.operands;
  checkContextName(name);
  if (readContext(environment, name) !== undefined) {
    throw failure(`context "${name}" already exists`);
  }
  const files = read(file, file === "-" ? await readInput() : readArchive(file));
  const meta = files.find((entry) => entry.name === "meta.json");
  if (meta?.bytes == null) {
    throw failure(`tiffin: Cannot import ${file}: it holds no meta.json`);
  }
  const metadata = parseMetadata(Buffer.from(meta.bytes).toString(), file);
  for (const { name: path, bytes } of files) {
    const certificate = CERTIFICATE.exec(path)?.[1];
    if (certificate !== undefined && bytes !== null) {
      writeCertificate(environment, name, certificate, bytes);
    }
  }
  writeContext(environment, { ...metadata, Name: name });
  await context.print(name);
  await context.warn(`Successfully imported context "${name}"`);
  return 0;
}

function read(file: string, archive: Buffer): SmallFile[] {
  try {
    return readSmallTar(archive);
  } catch (error) {
    throw failure(`tiffin: Cannot import ${file}: ${messageOf(error)}`);
  }
}

function readArchive(file: string): Buffer {
  try {
    if (statSync(file).size > LARGEST_BYTES) throw tooLarge(file);
    return readFileSync(file);
  } catch (error) {
    throw "code" in (error as object) && (error as { code: unknown }).code === "invalid-argument"
      ? error
      : failure(messageOf(openError(file, error)));
  }
}

async function readInput(): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of standardInput()) {
    size += chunk.length;
    if (size > LARGEST_BYTES) throw tooLarge("-");
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function tooLarge(file: string): Error {
  return failure(`tiffin: Cannot import ${file}: it is larger than 10 MB`);
}
