import type { Command, Context } from "../../command.ts";
import {
  checkContextName,
  DEFAULT_CONTEXT,
  findContext,
  readContext,
  writeContext,
} from "../../context-store.ts";
import { failure } from "../../failure.ts";
import { text } from "../../flag.ts";
import { dockerFlag, endpointOf, readEndpoint, writeCertificates } from "./docker-endpoint.ts";

const description = text("description", "Description of the context");
const from = text("from", "create context from a named context");

export const command: Command = {
  usage: "[OPTIONS] CONTEXT",
  summary: "Create a context",
  examples: `# A name for an engine elsewhere
tiffin context create lab --description "the machine in the lab" --docker host=tcp://10.0.0.7:2375
# A second name for the one in use
tiffin context create copy`,
  flags: [description, dockerFlag, from],
  operands: { exactly: 1 },
  run,
};

async function run(context: Context): Promise<number> {
  const given = context.arguments;
  const { environment } = context.world;
  const { defaultHost } = context.places;
  const [name = ""] = given.operands;
  checkContextName(name);
  if (readContext(environment, name) !== undefined) {
    throw failure(`context "${name}" already exists`);
  }
  const settings = given.get(dockerFlag);
  const source = given.get(from) || context.places.context;
  const made =
    settings.size > 0
      ? readEndpoint(environment, settings, defaultHost)
      : {
          endpoints: { docker: endpointOf(environment, source, defaultHost) },
          certificates: new Map<string, Uint8Array>(),
        };
  const inherited =
    given.get(from) === "" || source === DEFAULT_CONTEXT
      ? ""
      : findContext(environment, source).description;
  const words = given.get(description) || inherited;
  writeCertificates(environment, name, made.certificates);
  writeContext(environment, {
    Name: name,
    Metadata: words === "" ? {} : { Description: words },
    Endpoints: made.endpoints,
  });
  await context.print(name);
  await context.warn(`Successfully created context "${name}"`);
  return 0;
}
