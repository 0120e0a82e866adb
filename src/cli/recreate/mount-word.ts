import type { Fields } from "./inspected-settings.ts";

/** One of HostConfig.Mounts as `--mount` takes it. */
export function mountWord(mount: Fields): string {
  const bind = mount.object("BindOptions");
  const volume = mount.object("VolumeOptions");
  const driver = volume.object("DriverConfig");
  const tmpfs = mount.object("TmpfsOptions");
  const fields = [
    field("type", mount.text("Type")),
    field("source", mount.text("Source")),
    field("target", mount.text("Target")),
    mount.flag("ReadOnly") ? ["readonly"] : [],
    field("bind-propagation", bind.text("Propagation")),
    recursion(bind),
    field("volume-subpath", volume.text("Subpath")),
    volume.flag("NoCopy") ? ["volume-nocopy"] : [],
    pairs("volume-label", volume.map("Labels")),
    field("volume-driver", driver.text("Name")),
    pairs("volume-opt", driver.map("Options")),
    field("image-subpath", mount.object("ImageOptions").text("Subpath")),
    field("tmpfs-size", String(tmpfs.number("SizeBytes") || "")),
    field("tmpfs-mode", tmpfs.number("Mode") === 0 ? "" : tmpfs.number("Mode").toString(8)),
  ];
  return fields.flat().map(csvField).join(",");
}

function recursion(bind: Fields): string[] {
  if (bind.flag("NonRecursive")) return ["bind-recursive=disabled"];
  if (bind.flag("ReadOnlyForceRecursive")) return ["bind-recursive=readonly"];
  return bind.flag("ReadOnlyNonRecursive") ? ["bind-recursive=writable"] : [];
}

function field(key: string, value: string): string[] {
  return value === "" ? [] : [`${key}=${value}`];
}

function pairs(key: string, map: Readonly<Record<string, string>>): string[] {
  return Object.entries(map).map(([name, value]) => `${key}=${name}=${value}`);
}

/** RFC 4180, as docker's reader has it. */
function csvField(text: string): string {
  return /[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
