import type { Command, Context } from "../../command.ts";
import { currentContext, DEFAULT_CONTEXT, listContexts } from "../../context-store.ts";
import { text, toggle } from "../../flag.ts";
import { FORMAT_HELP } from "../../format-help.ts";
import { type Listing, plainTable, type Row } from "../../listing.ts";

const format = text("format", FORMAT_HELP);
const quiet = toggle("quiet", "Only show context names", { short: "q" });

export const command: Command = {
  usage: "[OPTIONS]",
  summary: "List contexts",
  examples: `# All engines that have a name here; a star marks the one in use
tiffin context ls
# Their hosts alone
tiffin context ls --format '{{.Name}} {{.DockerEndpoint}}'`,
  flags: [format, quiet],
  operands: { exactly: 0 },
  run,
};

const LISTING: Listing = {
  headers: {
    Name: "NAME",
    Description: "DESCRIPTION",
    DockerEndpoint: "DOCKER ENDPOINT",
    Error: "ERROR",
    Current: "CURRENT",
  },
  columns: ["Name", "Description", "DockerEndpoint", "Error"],
  raw: [
    ["name", "Name"],
    ["description", "Description"],
    ["docker_endpoint", "DockerEndpoint"],
  ],
};

/** As docker describes the one that has no file. */
export const DEFAULT_DESCRIPTION = "Current TIFFIN_HOST based configuration";

interface Shown {
  readonly name: string;
  readonly description: string;
  readonly host: string;
  readonly error: string;
}

async function run(context: Context): Promise<number> {
  const { environment, output } = context.world;
  const chosen = context.arguments.get(format);
  const current = context.places.context;
  const shown = contexts(context, current);
  if (context.arguments.get(quiet)) {
    await output.out(shown.map(({ name }) => `${name}\n`).join(""));
  } else if (chosen === "" || chosen === "table") {
    const named = shown.map((one) =>
      one.name === current ? { ...one, name: `${one.name} *` } : one,
    );
    await output.out(
      plainTable(
        LISTING,
        named.map((one) => row(one, current)),
      ),
    );
  } else {
    const { formatList, structOf } = await import("../../format-list.ts");
    const structs = shown.map((one) =>
      structOf("*formatter.clientContextContext", row(one, current)),
    );
    await output.out(formatList(chosen, LISTING, structs));
  }
  if (
    environment["TIFFIN_HOST"] &&
    currentContext({ ...environment, TIFFIN_HOST: "" }) !== current
  ) {
    await context.warn(
      "Warning: TIFFIN_HOST environment variable overrides the active context. To use a context, either set the global --context flag, or unset TIFFIN_HOST environment variable.",
    );
  }
  return 0;
}

function contexts({ world, places }: Context, current: string): Shown[] {
  const stored = listContexts(world.environment).map(
    ({ name, description, host }): Shown => ({ name, description, host, error: "" }),
  );
  const byDefault: Shown = {
    name: DEFAULT_CONTEXT,
    description: DEFAULT_DESCRIPTION,
    host: places.defaultHost,
    error: "",
  };
  const all = [...stored, byDefault];
  if (!all.some(({ name }) => name === current)) {
    all.push({
      name: current,
      description: "",
      host: "",
      error: `context ${JSON.stringify(current)}: context not found`,
    });
  }
  return all.toSorted((a, b) => (a.name < b.name ? -1 : 1));
}

function row({ name, description, host, error }: Shown, current: string): Row {
  const isCurrent = name === current || name === `${current} *`;
  return {
    Name: () => name,
    Description: () => description,
    DockerEndpoint: () => host,
    Error: () => error,
    Current: () => isCurrent,
  };
}
