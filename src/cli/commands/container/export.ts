import { apiPath } from "../../../api/client.ts";
import type { Command, Context } from "../../command.ts";
import { failure } from "../../failure.ts";
import { text } from "../../flag.ts";
import { checkOutputPath } from "../../host-path.ts";
import { writeOutputFile } from "../../output-file.ts";

const output = text("output", "Write to a file, instead of STDOUT", { short: "o" });

export const command: Command = {
  usage: "[OPTIONS] CONTAINER",
  summary: "Export a container's filesystem as a tar archive",
  examples: `# A container's whole file system, without its history
tiffin export web | tar -t
tiffin export -o web.tar web`,
  flags: [output],
  operands: { exactly: 1 },
  run,
};

async function run(context: Context): Promise<number> {
  const [name = ""] = context.arguments.operands;
  const file = context.arguments.get(output);
  const { world } = context;
  if (file === "" && (await world.output.outIsTerminal())) {
    throw failure("cowardly refusing to save to a terminal. Use the -o flag or redirect");
  }
  if (file !== "") checkFile(file);
  const response = await context.api.request("GET", apiPath("containers", name, "export"));
  if (file !== "") await writeOutputFile(response.body, file);
  else for await (const chunk of response.body) await world.output.out(chunk);
  return 0;
}

function checkFile(file: string): void {
  try {
    checkOutputPath(file);
  } catch (error) {
    throw failure(`failed to export container: ${(error as Error).message}`);
  }
}
