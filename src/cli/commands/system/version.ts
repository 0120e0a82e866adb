import { messageOf } from "../../../base/error.ts";
import type { Command, Context, World } from "../../command.ts";
import { failure } from "../../failure.ts";
import { text } from "../../flag.ts";
import { INSPECT_FORMAT_HELP } from "../../format-help.ts";
import { GoMap, GoStruct, NilPointer, type Value } from "../../go-template/value.ts";
import { layOut } from "../../table.ts";

const format = text("format", INSPECT_FORMAT_HELP, { short: "f" });

export const command: Command = {
  usage: "[OPTIONS]",
  summary: "Show the Tiffin version information",
  examples: `# Of the engine alone
tiffin version --format '{{.Server.Version}}'`,
  flags: [format],
  operands: { exactly: 0 },
  inEngine: () => true,
  run,
};

const BAD_FORMAT_STATUS = 64;
const LAYOUT = { minimum: 20, padding: 1 };

interface ServerVersion {
  readonly Platform?: { readonly Name?: string } | null;
  readonly Version: string;
  readonly ApiVersion: string;
  readonly MinAPIVersion?: string;
  readonly GitCommit?: string;
  readonly Os: string;
  readonly Arch: string;
  readonly KernelVersion?: string;
  readonly BuildTime?: string;
  readonly Components?: readonly Component[];
}

interface Component {
  readonly Name: string;
  readonly Version: string;
  readonly Details?: Readonly<Record<string, string>> | null;
}

/** The client's half is shown also when no engine answers. */
async function run(context: Context): Promise<number> {
  const chosen = context.arguments.get(format);
  const template = chosen === "" ? undefined : await compile(chosen);
  let server: ServerVersion | undefined;
  let problem: unknown;
  try {
    server = (await context.api.json("GET", "/version")) as ServerVersion;
  } catch (error) {
    problem = error;
  }
  if (template === undefined) {
    await context.print(layOut(versionText(context.world, server), LAYOUT));
  } else {
    const { text: shown, error } = template.runPartly(versionStruct(context.world, server));
    await context.print(shown);
    if (error !== undefined && problem === undefined) throw failure(messageOf(error));
  }
  if (problem !== undefined) throw problem;
  return 0;
}

async function compile(source: string): Promise<import("../../go-template/template.ts").Template> {
  const { Template } = await import("../../go-template/template.ts");
  try {
    return new Template(source === "json" ? "{{json .}}" : source, { name: "version" });
  } catch (error) {
    throw failure(`template parsing error: ${messageOf(error)}`, BAD_FORMAT_STATUS);
  }
}

function clientFacts(world: World, server: ServerVersion | undefined): Record<string, string> {
  return {
    Version: world.version,
    ApiVersion: server?.ApiVersion ?? "",
    Runtime: `Bun ${process.versions["bun"] ?? ""}`,
    Os: process.platform,
    Arch: process.arch === "x64" ? "amd64" : process.arch,
  };
}

function versionText(world: World, server: ServerVersion | undefined): string {
  const client = clientFacts(world, server);
  const lines = [
    "Client:",
    ` Version:\t${client["Version"]}`,
    ` API version:\t${client["ApiVersion"]}`,
    ` Runtime:\t${client["Runtime"]}`,
    ` OS/Arch:\t${client["Os"]}/${client["Arch"]}`,
  ];
  if (server === undefined) return lines.join("\n");
  const name = server.Platform?.Name ?? "";
  lines.push("", name === "" ? "Server:" : `Server: ${name}`);
  const components = server.Components ?? [];
  const known = components.length > 0 ? components : [{ Name: "Engine", Version: server.Version }];
  for (const component of known) lines.push(...componentLines(component, server));
  return lines.join("\n");
}

function componentLines(component: Component, server: ServerVersion): string[] {
  const details = component.Details ?? {};
  const lines = [` ${component.Name}:`, `  Version:\t${component.Version}`];
  if (component.Name !== "Engine") {
    return [
      ...lines,
      ...Object.keys(details)
        .sort()
        .map((key) => `  ${key}:\t${details[key]}`),
    ];
  }
  const minimum = details["MinAPIVersion"] ?? server.MinAPIVersion ?? "";
  lines.push(
    `  API version:\t${details["ApiVersion"] ?? server.ApiVersion} (minimum version ${minimum})`,
  );
  const commit = details["GitCommit"] ?? server.GitCommit ?? "";
  if (commit !== "") lines.push(`  Git commit:\t${commit}`);
  const os = details["Os"] ?? server.Os;
  const architecture = details["Arch"] ?? server.Arch;
  const kernel = details["KernelVersion"] ?? server.KernelVersion ?? "";
  lines.push(`  OS/Arch:\t${os}/${architecture}`, `  Kernel version:\t${kernel}`);
  return lines;
}

function versionStruct(world: World, server: ServerVersion | undefined): GoStruct {
  const client = clientFacts(world, server);
  return new GoStruct("system.versionInfo", {
    Client: new GoStruct("system.clientVersion", {
      ...client,
      APIVersion: client["ApiVersion"],
      DefaultAPIVersion: client["ApiVersion"],
    }),
    Server: server === undefined ? new NilPointer("*types.Version") : serverStruct(server),
  });
}

function serverStruct(server: ServerVersion): GoStruct {
  const fields: Record<string, Value> = { ...server, APIVersion: server.ApiVersion };
  fields["Platform"] = new GoStruct("struct { Name string }", {
    Name: server.Platform?.Name ?? "",
  });
  fields["Components"] = (server.Components ?? []).map(
    (component) =>
      new GoStruct("types.ComponentVersion", {
        Name: component.Name,
        Version: component.Version,
        Details: new GoMap("map[string]string", "", component.Details ?? {}),
      }),
  );
  return new GoStruct("*types.Version", fields);
}
