const fault = process.env["TIFFIN_FAULT"];
let countdown = Number(process.env["TIFFIN_FAULT_AFTER"] ?? "0");

/**
 * A place where a test may kill the engine (`TIFFIN_FAULT=start:launched`, `TIFFIN_FAULT_AFTER=n` skips n passes): as
 * kill -9 would, with nothing cleaned up. docs/reference/fault-points.md lists them.
 */
export function faultPoint(name: string): void {
  if (fault !== name) return;
  if (countdown > 0) countdown -= 1;
  else process.kill(process.pid, "SIGKILL");
}
