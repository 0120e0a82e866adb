import { DEFAULT_DOMAIN } from "../../../base/reference.ts";
import type { Command, Context } from "../../command.ts";
import { failure } from "../../failure.ts";
import { text, toggle } from "../../flag.ts";
import { standardInput } from "../../input.ts";
import { askUser } from "../../registry-login/ask-user.ts";
import { dockerConfigDirectory } from "../../registry-login/docker-config.ts";
import { keyOf, storeCredentials } from "../../registry-login/saved-credentials.ts";

const password = text("password", "Password or Personal Access Token (PAT)", { short: "p" });
const passwordStdin = toggle(
  "password-stdin",
  "Take the Password or Personal Access Token (PAT) from stdin",
);
const username = text("username", "Username", { short: "u" });

export const command: Command = {
  usage: "[OPTIONS] [SERVER]",
  summary: "Authenticate to a registry",
  examples: `# With a password that no history keeps
tiffin login -u ann --password-stdin registry.example:5000 < password-file`,
  flags: [password, passwordStdin, username],
  operands: { atMost: 1 },
  run,
};

async function run(context: Context): Promise<number> {
  const domain = serverOf(context.arguments.operands[0]);
  const key = keyOf(domain);
  const credentials = await readCredentials(context);
  const body = {
    username: credentials.user,
    password: credentials.password,
    serveraddress: key,
  };
  const answer = await context.api.json("POST", "/auth", { body });
  const { IdentityToken: identity = "" } = answer as { IdentityToken?: string };
  const directory = dockerConfigDirectory(context.world.environment);
  const file = await storeCredentials(directory, key, { ...credentials, identity });
  if (file !== undefined) {
    await context.warn(`\nWARNING! Your credentials are stored unencrypted in '${file}'.
Configure a credential helper to remove this warning. See
https://docs.docker.com/go/credential-store/\n`);
  }
  await context.print("Login Succeeded");
  return 0;
}

/** A registry as docker takes it: also as an address. */
export function serverOf(given: string | undefined): string {
  const host = (given ?? "").replace(/^https?:\/\//, "").replace(/\/.*$/, "");
  return ["", "index.docker.io", "registry-1.docker.io"].includes(host) ? DEFAULT_DOMAIN : host;
}

async function readCredentials(context: Context): Promise<{ user: string; password: string }> {
  const given = context.arguments;
  const user = given.get(username);
  if (given.get(passwordStdin)) {
    if (given.get(password) !== "") {
      throw failure("--password and --password-stdin are mutually exclusive");
    }
    if (user === "") throw failure("Must provide --username with --password-stdin");
    const parts: Uint8Array[] = [];
    for await (const chunk of standardInput()) parts.push(chunk);
    return complete(
      user,
      Buffer.concat(parts)
        .toString("utf8")
        .replace(/\r?\n$/, ""),
    );
  }
  if (given.get(password) !== "") {
    await context.warn("WARNING! Using --password via the CLI is insecure. Use --password-stdin.");
  }
  if (user !== "" && given.get(password) !== "") return complete(user, given.get(password));
  if (!(await context.world.output.inIsTerminal())) {
    throw failure("Error: Cannot perform an interactive login from a non TTY device");
  }
  const name = user || (await askUser(context, "Username: "));
  const secret = given.get(password) || (await askUser(context, "Password: ", { hidden: true }));
  return complete(name, secret);
}

function complete(user: string, secret: string): { user: string; password: string } {
  if (user === "") throw failure("Error: Non-null Username Required");
  if (secret === "") throw failure("Error: Password Required");
  return { user, password: secret };
}
