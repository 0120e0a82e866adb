import type { Command, Context } from "../../command.ts";
import { list, text } from "../../flag.ts";
import { showProgress } from "../../progress.ts";
import { upload } from "./upload.ts";

const change = list("change", "Apply Dockerfile instruction to the created image", { short: "c" });
const message = text("message", "Set commit message for imported image", { short: "m" });
const platform = text("platform", "Set platform if server is multi-platform capable");

export const command: Command = {
  usage: "[OPTIONS] file|URL|- [REPOSITORY[:TAG]]",
  summary: "Import the contents from a tarball to create a filesystem image",
  examples: `# A root file system becomes an image
tar -C rootfs -c . | tiffin import - mine:latest
# With a command
tiffin import -c 'CMD ["/bin/sh"]' rootfs.tar mine:latest`,
  flags: [change, message, platform],
  operands: { atLeast: 1 },
  run,
};

async function run(context: Context): Promise<number> {
  const given = context.arguments;
  const [source = "", reference = ""] = given.operands;
  const isUrl = /^https?:\/\//.test(source);
  const colon = reference.lastIndexOf(":");
  const hasTag = colon > reference.lastIndexOf("/");
  const query = {
    fromSrc: isUrl ? source : "-",
    ...(reference === "" ? {} : { repo: hasTag ? reference.slice(0, colon) : reference }),
    ...(hasTag ? { tag: reference.slice(colon + 1) } : {}),
    ...(given.get(message) === "" ? {} : { message: given.get(message) }),
    ...(given.get(platform) === "" ? {} : { platform: given.get(platform) }),
    changes: given.get(change),
  };
  const stream = isUrl ? undefined : await upload(source === "-" ? undefined : source);
  const response = await context.api.request("POST", "/images/create", {
    query,
    ...(stream === undefined ? {} : { stream, contentType: "text/plain" }),
  });
  await showProgress(context, response.body);
  return 0;
}
