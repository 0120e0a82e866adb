import { apiPath } from "../../../api/client.ts";
import type { Command, Context } from "../../command.ts";
import { failure } from "../../failure.ts";
import { readInteger } from "../../flag.ts";
import { messageOf } from "../../../base/error.ts";

export const command: Command = {
  usage: "CONTAINER [PRIVATE_PORT[/PROTO]]",
  summary: "List port mappings or a specific mapping for the container",
  examples: `# Where port 80 of the container is to be reached
tiffin port web 80/tcp`,
  flags: [],
  operands: { between: [1, 2] },
  inEngine: () => true,
  run,
};

type Ports = Readonly<
  Record<string, readonly { readonly HostIp: string; readonly HostPort: string }[] | null>
>;

async function run(context: Context): Promise<number> {
  const [name = "", port] = context.arguments.operands;
  const answer = await context.api.json("GET", apiPath("containers", name, "json"));
  const ports =
    (answer as { NetworkSettings: { Ports: Ports | null } }).NetworkSettings.Ports ?? {};
  const lines = port === undefined ? allBindings(ports) : bindingsOf(ports, name, port);
  if (lines.length > 0) await context.print(lines.join("\n"));
  return 0;
}

/** In the order of their text, as docker sorts them. */
function allBindings(ports: Ports): string[] {
  return Object.entries(ports)
    .flatMap(([from, bindings]) =>
      (bindings ?? []).map((binding) => `${from} -> ${shown(binding)}`),
    )
    .toSorted((first, second) => first.localeCompare(second, "en", { numeric: true }));
}

function bindingsOf(ports: Ports, name: string, asked: string): string[] {
  const [port = "", protocol = "tcp"] = asked.split("/", 2);
  try {
    readInteger(port, "uint16");
  } catch (error) {
    throw failure(`Error: invalid port (${port}): ${messageOf(error)}`);
  }
  const bindings = ports[`${port}/${protocol}`] ?? [];
  if (bindings.length === 0) {
    throw failure(`Error: No public port '${asked}' published for ${name}`);
  }
  return bindings.map(shown);
}

function shown({ HostIp: ip, HostPort: port }: { HostIp: string; HostPort: string }): string {
  return ip.includes(":") ? `[${ip}]:${port}` : `${ip}:${port}`;
}
