import { TiffinError } from "../base/error.ts";
import { exactly, parseCommandLine } from "./command-line.ts";
import { type OciCommand, openContainer } from "./commands.ts";
import { cgroupsOf, statusOf } from "./container-status.ts";

const ROUNDS = 2000;

export const pause: OciCommand = (words, context) => {
  const [id = ""] = exactly(parseCommandLine(words, {}), 1, "pause CONTAINER");
  const { directory, state } = openContainer(context, id);
  const status = statusOf(directory, state);
  if (status !== "running" && status !== "created") {
    throw new TiffinError(
      "conflict",
      `Cannot pause container "${id}": container not running or created: ${status}`,
    );
  }
  const { driver, paths } = cgroupsOf(state);
  driver.freeze(paths.name);
  // Freezing takes a moment.
  for (let round = 0; !driver.isFrozen(paths.name); round++) {
    if (round === ROUNDS) {
      driver.thaw(paths.name);
      throw new TiffinError("unavailable", `Cannot pause container "${id}": it does not stop`);
    }
    Bun.sleepSync(1);
  }
  return 0;
};

export const resume: OciCommand = (words, context) => {
  const [id = ""] = exactly(parseCommandLine(words, {}), 1, "resume CONTAINER");
  const { directory, state } = openContainer(context, id);
  const status = statusOf(directory, state);
  if (status !== "paused") {
    throw new TiffinError("conflict", `Cannot resume container "${id}": container not paused`);
  }
  const { driver, paths } = cgroupsOf(state);
  driver.thaw(paths.name);
  return 0;
};
