import { humanSize } from "../../../base/size.ts";
import type { Command, Context } from "../../command.ts";
import { toggle } from "../../flag.ts";
import { layOut } from "../../table.ts";

const repair = toggle("repair", "Remove what has no owner and mend what can be mended");

export const command: Command = {
  usage: "[OPTIONS]",
  summary: "Hold what is on the host against what should be there",
  examples: `# What is on the host without an owner
tiffin system check
# And away with it
tiffin system check --repair`,
  exitStatus: {
    "0": "everything is where it should be, or was repaired",
    "1": "something is left to mend",
  },
  flags: [repair],
  operands: { exactly: 0 },
  run,
};

/** One thing that system check found, as the engine's route gives it. */
interface Finding {
  readonly kind: string;
  readonly what: string;
  readonly problem: string;
  readonly repaired: boolean;
}

/** A download that was not finished. */
interface PartialBlob {
  readonly digest: string;
  readonly sizeBytes: number;
}

/** The exit status tells scripts whether anything is left to mend. */
async function run(context: Context): Promise<number> {
  const isRepair = context.arguments.get(repair);
  const answer = isRepair
    ? await context.api.json("POST", "/tiffin/check", { query: { repair: 1 } })
    : await context.api.json("GET", "/tiffin/check");
  const { findings, resumable = [] } = answer as { findings: Finding[]; resumable?: PartialBlob[] };
  await tellResumable(context, resumable);
  if (findings.length === 0) {
    await context.print("Everything is where it should be");
    return 0;
  }
  const rows = findings.map(({ kind, what, problem, repaired }) =>
    [kind, what, problem, repaired ? "repaired" : "open"].join("\t"),
  );
  await context.print(layOut(["KIND\tWHAT\tPROBLEM\tSTATE", ...rows].join("\n")));
  const open = findings.filter(({ repaired }) => !repaired).length;
  if (open > 0 && !isRepair) await context.warn("hint: Run it again with --repair");
  return open === 0 ? 0 : 1;
}

async function tellResumable(context: Context, blobs: readonly PartialBlob[]): Promise<void> {
  if (blobs.length === 0) return;
  const rows = blobs.map(({ digest, sizeBytes }) => `${digest}\t${humanSize(sizeBytes)}`);
  await context.print(
    "Unfinished downloads, which a next pull goes on with and image prune removes:",
  );
  await context.print(layOut(["DIGEST\tSIZE", ...rows].join("\n")));
}
