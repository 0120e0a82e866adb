import type { Command, Context } from "../../command.ts";
import { dockerConfigDirectory } from "../../registry-login/docker-config.ts";
import { eraseCredentials, keyOf } from "../../registry-login/saved-credentials.ts";
import { serverOf } from "./login.ts";

export const command: Command = {
  usage: "[SERVER]",
  summary: "Log out from a registry",
  examples: `# Forget the credentials of one registry
tiffin logout registry.example:5000`,
  flags: [],
  operands: { atMost: 1 },
  run,
};

async function run(context: Context): Promise<number> {
  const key = keyOf(serverOf(context.arguments.operands[0]));
  const directory = dockerConfigDirectory(context.world.environment);
  await context.print(
    (await eraseCredentials(directory, key))
      ? `Removing login credentials for ${key}`
      : `Not logged in to ${key}`,
  );
  return 0;
}
