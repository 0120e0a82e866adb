import { apiPath } from "../../../api/client.ts";
import type { Command, Context } from "../../command.ts";
import { describe, failure } from "../../failure.ts";

export const command: Command = {
  usage: "CONTAINER NEW_NAME",
  summary: "Rename a container",
  examples: `# The address and the files stay as they are
tiffin rename web web-old`,
  flags: [],
  operands: { exactly: 2 },
  inEngine: () => true,
  run,
};

async function run(context: Context): Promise<number> {
  const [oldName = "", newName = ""] = context.arguments.operands.map((name) => name.trim());
  if (oldName === "" || newName === "") {
    throw failure("Error: Neither old nor new names may be empty");
  }
  try {
    await context.api.run("POST", apiPath("containers", oldName, "rename"), {
      query: { name: newName },
    });
  } catch (error) {
    throw failure(`${describe(error)}\nError: failed to rename container named ${oldName}`);
  }
  return 0;
}
