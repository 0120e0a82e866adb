import type { Command, Context } from "../../command.ts";
import { failure } from "../../failure.ts";
import { list, text } from "../../flag.ts";
import { toMap } from "../../container-options/key-values.ts";

const driver = text("driver", "Specify volume driver name", { short: "d", initial: "local" });
const label = list("label", "Set metadata for a volume");
const name = text("name", "Specify volume name", { hidden: true });
const opt = list("opt", "Set driver specific options", { short: "o", type: "map" });

export const command: Command = {
  usage: "[OPTIONS] [VOLUME]",
  summary: "Create a volume",
  examples: `# A volume in memory, at most 100 MB, for as long as a container uses it
tiffin volume create --opt type=tmpfs --opt device=tmpfs --opt o=size=100m,uid=1000 scratch

# A directory of a file server
tiffin volume create --opt type=nfs --opt o=addr=192.0.2.7,rw --opt device=:/export/data data

# A directory of the host under a name
tiffin volume create --opt type=none --opt o=bind --opt device=/srv/data data`,
  flags: [driver, label, name, opt],
  operands: { atMost: 1 },
  inEngine: () => true,
  run,
};

async function run(context: Context): Promise<number> {
  const given = context.arguments;
  const [operand] = given.operands;
  if (operand !== undefined && given.get(name) !== "") {
    throw failure(
      "conflicting options: cannot specify a volume-name through both --name and as a positional arg",
    );
  }
  const body = {
    Name: operand ?? given.get(name),
    Driver: given.get(driver),
    DriverOpts: toMap(given.get(opt)),
    Labels: toMap(given.get(label)),
  };
  const volume = await context.api.json("POST", "/volumes/create", { body });
  await context.print((volume as { Name: string }).Name);
  return 0;
}
