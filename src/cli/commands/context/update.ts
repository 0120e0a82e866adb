import type { Command, Context } from "../../command.ts";
import { checkContextName, findContext, writeContext } from "../../context-store.ts";
import { text } from "../../flag.ts";
import { dockerFlag, readEndpoint, writeCertificates } from "./docker-endpoint.ts";

const description = text("description", "Description of the context");

export const command: Command = {
  usage: "[OPTIONS] CONTEXT",
  summary: "Update a context",
  examples: `# The machine has moved
tiffin context update lab --docker host=tcp://10.0.0.8:2375`,
  flags: [description, dockerFlag],
  operands: { exactly: 1 },
  run,
};

async function run(context: Context): Promise<number> {
  const given = context.arguments;
  const { environment } = context.world;
  const [name = ""] = given.operands;
  checkContextName(name);
  const { metadata } = findContext(environment, name);
  const settings = given.get(dockerFlag);
  const made =
    settings.size > 0
      ? readEndpoint(environment, settings, context.places.defaultHost)
      : { endpoints: metadata.Endpoints, certificates: new Map<string, Uint8Array>() };
  writeCertificates(environment, name, made.certificates);
  writeContext(environment, {
    ...metadata,
    Metadata: given.has(description)
      ? { ...metadata.Metadata, Description: given.get(description) }
      : metadata.Metadata,
    Endpoints: made.endpoints,
  });
  await context.print(name);
  await context.warn(`Successfully updated context "${name}"`);
  return 0;
}
