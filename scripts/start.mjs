/** `npm start`: sets the checkout up and runs the built-in image in a container. Further arguments go to its program. */
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { fail, root, SetupError, setup } from "./setup.mjs";

const limits = ["--memory", "64m", "--cpus", "0.5", "--pids-limit", "32"];

try {
  setup();
  if (process.getuid?.() !== 0) {
    throw new SetupError("Root is needed to make containers\n  to fix: sudo npm start");
  }
  const command = ["run", "--rm", ...limits, "hello", ...process.argv.slice(2)];
  console.error(`$ bin/tiffin ${command.join(" ")}`);
  const result = spawnSync(join(root, "bin/tiffin"), command, { stdio: "inherit" });
  if (result.error) throw new SetupError(`Cannot run bin/tiffin: ${result.error.message}`);
  process.exit(result.status ?? 1);
} catch (error) {
  fail(error);
}
