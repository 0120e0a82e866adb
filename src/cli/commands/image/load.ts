import type { Command, Context } from "../../command.ts";
import { failure } from "../../failure.ts";
import { text, toggle } from "../../flag.ts";
import { showProgress } from "../../progress.ts";
import { upload } from "./upload.ts";

const input = text("input", "Read from tar archive file, instead of STDIN", { short: "i" });
const platform = text(
  "platform",
  'Load only the given platform variant. Formatted as "os[/arch[/variant]]" (e.g., "linux/amd64")',
);
const quiet = toggle("quiet", "Suppress the load output", { short: "q" });

export const command: Command = {
  usage: "[OPTIONS]",
  summary: "Load an image from a tar archive or STDIN",
  examples: `# What docker save or an OCI tool wrote
tiffin load -i images.tar
docker save nginx | tiffin load`,
  flags: [input, platform, quiet],
  operands: { exactly: 0 },
  run,
};

async function run(context: Context): Promise<number> {
  const given = context.arguments;
  const file = given.get(input);
  const { output } = context.world;
  if (file === "" && (await output.inIsTerminal())) {
    throw failure("requested load from stdin, but stdin is empty");
  }
  const query = {
    quiet: given.get(quiet) || !(await output.outIsTerminal()) ? 1 : 0,
    ...(given.get(platform) === ""
      ? {}
      : { platform: JSON.stringify(platformOf(given.get(platform))) }),
  };
  const stream = await upload(file === "" ? undefined : file);
  const response = await context.api.request("POST", "/images/load", { query, stream });
  if (response.headers.get("content-type") === "application/json") {
    await showProgress(context, response.body);
  } else {
    for await (const chunk of response.body) await output.out(chunk);
  }
  return 0;
}

function platformOf(words: string): Record<string, string> {
  const [os = "", architecture = "", variant] = words.split("/");
  return { os, architecture, ...(variant === undefined ? {} : { variant }) };
}
