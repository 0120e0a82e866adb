import type { Command, Context } from "../../command.ts";
import { failure } from "../../failure.ts";
import { text } from "../../flag.ts";
import { checkOutputPath } from "../../host-path.ts";
import { writeOutputFile } from "../../output-file.ts";
import { platformQuery } from "../../platform-query.ts";

const output = text("output", "Write to a file, instead of STDOUT", { short: "o" });
const platform = text("platform", "Save only the given platform variant");

export const command: Command = {
  usage: "[OPTIONS] IMAGE [IMAGE...]",
  summary: "Save one or more images to a tar archive (streamed to STDOUT by default)",
  examples: `# Several images into one archive
tiffin save -o all.tar debian:12 team/app:3`,
  flags: [output, platform],
  operands: { atLeast: 1 },
  run,
};

async function run(context: Context): Promise<number> {
  const given = context.arguments;
  const file = given.get(output);
  const { world } = context;
  if (file === "" && (await world.output.outIsTerminal())) {
    throw failure("cowardly refusing to save to a terminal. Use the -o flag or redirect");
  }
  if (file !== "") checkFile(file);
  const query = { names: given.operands, ...platformQuery(given.get(platform)) };
  const response = await context.api.request("GET", "/images/get", { query });
  if (file !== "") await writeOutputFile(response.body, file);
  else for await (const chunk of response.body) await world.output.out(chunk);
  return 0;
}

function checkFile(file: string): void {
  try {
    checkOutputPath(file);
  } catch (error) {
    throw failure(`failed to save image: ${(error as Error).message}`);
  }
}
