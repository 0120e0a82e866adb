import { humanDuration } from "../../../base/duration.ts";
import { familiarReference, parseReference } from "../../../base/reference.ts";
import { humanSize } from "../../../base/size.ts";
import { quote } from "../../go-template/printf.ts";
import { NilPointer } from "../../go-template/value.ts";
import type { Listing, Row } from "../../listing.ts";
import { ellipsis } from "../../table.ts";
import { goTime } from "../../time.ts";

export interface PortSummary {
  readonly IP?: string;
  readonly PrivatePort: number;
  readonly PublicPort?: number;
  readonly Type: string;
}

/** One entry of GET /containers/json. */
export interface ContainerSummary {
  readonly Id: string;
  readonly Names: readonly string[] | null;
  readonly Image: string;
  readonly ImageID: string;
  readonly Command: string;
  readonly Created: number;
  readonly Ports: readonly PortSummary[] | null;
  readonly SizeRw?: number;
  readonly SizeRootFs?: number;
  readonly Labels: Readonly<Record<string, string>> | null;
  readonly State: string;
  readonly Status: string;
  readonly NetworkSettings?: {
    readonly Networks?: Readonly<Record<string, unknown>> | null;
  } | null;
  readonly Mounts?:
    | readonly { readonly Name?: string; readonly Source?: string; readonly Driver?: string }[]
    | null;
}

export const EMPTY_CONTAINER: ContainerSummary = {
  Id: "",
  Names: [],
  Image: "",
  ImageID: "",
  Command: "",
  Created: 0,
  Ports: [],
  Labels: {},
  State: "",
  Status: "",
};

export const CONTAINER_LISTING: Listing = {
  headers: {
    ID: "CONTAINER ID",
    Names: "NAMES",
    Image: "IMAGE",
    Command: "COMMAND",
    CreatedAt: "CREATED AT",
    RunningFor: "CREATED",
    Ports: "PORTS",
    State: "STATE",
    Status: "STATUS",
    Size: "SIZE",
    Labels: "LABELS",
    Mounts: "MOUNTS",
    LocalVolumes: "LOCAL VOLUMES",
    Networks: "NETWORKS",
    Platform: "PLATFORM",
  },
  columns: ["ID", "Image", "Command", "RunningFor", "Status", "Ports", "Names"],
  raw: [
    ["container_id", "ID"],
    ["image", "Image"],
    ["command", "Command"],
    ["created_at", "CreatedAt"],
    ["state", "State"],
    ["status", "Status"],
    ["names", "Names"],
    ["labels", "Labels"],
    ["ports", "Ports"],
  ],
};

const SHORT_ID = 12;
const COMMAND_WIDTH = 20;
const MOUNT_WIDTH = 15;

/** What a row shows of a container: docker's fields. `truncate` is off with --no-trunc. */
export function containerRow(container: ContainerSummary, truncate: boolean): Row {
  const labels = container.Labels ?? {};
  return {
    Command: () => quote(truncate ? ellipsis(container.Command, COMMAND_WIDTH) : container.Command),
    CreatedAt: () => goTime(container.Created),
    ID: () => (truncate ? container.Id.slice(0, SHORT_ID) : container.Id),
    Image: () => imageName(container, truncate),
    Label: (name) => labels[String(name)] ?? "",
    Labels: () =>
      Object.keys(labels)
        .map((key) => `${key}=${labels[key]}`)
        .sort()
        .join(","),
    LocalVolumes: () =>
      String((container.Mounts ?? []).filter(({ Driver }) => Driver === "local").length),
    Mounts: () => mountNames(container, truncate),
    Names: () => names(container.Names ?? [], truncate),
    Networks: () => Object.keys(container.NetworkSettings?.Networks ?? {}).join(","),
    Platform: () => new NilPointer("*formatter.Platform"),
    Ports: () => portsText(container.Ports ?? []),
    RunningFor: () => `${humanDuration(Date.now() / 1000 - container.Created)} ago`,
    Size: () => sizeText(container),
    State: () => container.State,
    Status: () => container.Status,
  };
}

/** Names without their slash; without --no-trunc only the first that is no legacy link. */
function names(all: readonly string[], truncate: boolean): string {
  const plain = all.map((name) => name.replace(/^\//, ""));
  return truncate ? (plain.find((name) => !name.includes("/")) ?? "") : plain.join(",");
}

function imageName(
  { Image: image, ImageID: imageId }: ContainerSummary,
  truncate: boolean,
): string {
  if (image === "") return "<no image>";
  if (!truncate) return image;
  const short = shortId(imageId);
  if (short === shortId(image)) return short;
  try {
    // With a digest in it the name would fill the line.
    return familiarReference({ ...parseReference(image), digest: undefined });
  } catch {
    // An image that lost its name is listed by what the engine says.
    return image;
  }
}

function shortId(id: string): string {
  return id.slice(id.indexOf(":") + 1).slice(0, SHORT_ID);
}

function mountNames({ Mounts: mounts }: ContainerSummary, truncate: boolean): string {
  return (mounts ?? [])
    .map(({ Name: name, Source: source }) => name || (source ?? ""))
    .map((name) => (truncate ? ellipsis(name, MOUNT_WIDTH) : name))
    .join(",");
}

function sizeText({ SizeRw: own = 0, SizeRootFs: all = 0 }: ContainerSummary): string {
  const text = humanSize(own, 3);
  return all > 0 ? `${text} (virtual ${humanSize(all, 3)})` : text;
}

interface Group {
  readonly key: string;
  readonly first: number;
  last: number;
}

/** `0.0.0.0:80->80/tcp, 9988/tcp`: neighbouring ports that are published alike are joined. */
export function portsText(ports: readonly PortSummary[]): string {
  const sorted = [...ports].sort(comparePorts);
  const done: string[] = [];
  const groups = new Map<string, Group>();
  const mapped: string[] = [];
  for (const { IP: ip = "", PrivatePort: port, PublicPort: published = 0, Type: type } of sorted) {
    if (ip !== "" && published !== port) {
      mapped.push(`${hostPort(ip, String(published))}->${port}/${type}`);
      continue;
    }
    const key = ip === "" ? type : `${ip}/${type}`;
    const group = groups.get(key);
    if (group !== undefined && port === group.last + 1) {
      group.last = port;
      continue;
    }
    if (group !== undefined) done.push(groupText(group));
    groups.set(key, { key, first: port, last: port });
  }
  return [...done, ...[...groups.values()].map(groupText), ...mapped].join(", ");
}

function groupText({ key, first, last }: Group): string {
  const slash = key.lastIndexOf("/");
  const range = first === last ? String(first) : `${first}-${last}`;
  const type = key.slice(slash + 1);
  return slash < 0
    ? `${range}/${type}`
    : `${hostPort(key.slice(0, slash), range)}->${range}/${type}`;
}

function hostPort(ip: string, port: string): string {
  return ip.includes(":") ? `[${ip}]:${port}` : `${ip}:${port}`;
}

function comparePorts(a: PortSummary, b: PortSummary): number {
  const { IP: ipA = "", PublicPort: publicA = 0 } = a;
  const { IP: ipB = "", PublicPort: publicB = 0 } = b;
  return (
    a.PrivatePort - b.PrivatePort ||
    compare(ipA, ipB) ||
    publicA - publicB ||
    compare(a.Type, b.Type)
  );
}

function compare(a: string, b: string): number {
  return a === b ? 0 : a < b ? -1 : 1;
}
