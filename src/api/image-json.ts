import { neverTime, unixSeconds } from "./docker-time.ts";
import { isAtLeast, type ApiVersion } from "./api-version.ts";
import type { Image } from "../images/image-store.ts";
import type { ImageSummaryWire } from "./wire.ts";

/** `GET /images/{name}/json` */
export function formatImage(
  image: Image,
  layers: readonly string[],
  version: ApiVersion,
): Record<string, unknown> {
  const { config } = image;
  const created = config.created ?? neverTime;
  return {
    Id: image.id,
    RepoTags: image.repoTags,
    RepoDigests: image.repoDigests,
    Parent: "",
    Comment: config.comment ?? config.history?.at(-1)?.comment ?? "",
    Created: created,
    ...(isAtLeast(version, 1, 45) ? {} : { Container: "", ContainerConfig: formatConfig({}) }),
    DockerVersion: "",
    Author: config.author ?? "",
    Config: formatConfig(config.config),
    Architecture: config.architecture,
    ...(config.variant === undefined ? {} : { Variant: config.variant }),
    Os: config.os,
    Size: image.sizeBytes,
    ...(isAtLeast(version, 1, 44) ? {} : { VirtualSize: image.sizeBytes }),
    GraphDriver: {
      Data: layers.length === 0 ? null : { LowerDir: layers.toReversed().join(":") },
      Name: "overlayfs",
    },
    RootFS: { Type: "layers", Layers: config.rootfs.diff_ids },
    Metadata: { LastTagTime: image.lastTaggedAt || neverTime },
  };
}

type RuntimeConfig = Image["config"]["config"];

/** What containers take from the image, in docker's shape: a container's Config. */
function formatConfig(config: RuntimeConfig): Record<string, unknown> {
  return {
    Hostname: "",
    Domainname: "",
    User: config.User ?? "",
    AttachStdin: false,
    AttachStdout: false,
    AttachStderr: false,
    ...(config.ExposedPorts ? { ExposedPorts: config.ExposedPorts } : {}),
    Tty: false,
    OpenStdin: false,
    StdinOnce: false,
    Env: config.Env ?? null,
    Cmd: config.Cmd ?? null,
    ...(config.Healthcheck === undefined ? {} : { Healthcheck: config.Healthcheck }),
    Image: "",
    Volumes: config.Volumes ?? null,
    WorkingDir: config.WorkingDir ?? "",
    Entrypoint: config.Entrypoint ?? null,
    OnBuild: null,
    Labels: config.Labels ?? null,
    ...(config.StopSignal ? { StopSignal: config.StopSignal } : {}),
    ...(config.Shell ? { Shell: config.Shell } : {}),
  };
}

/** An entry of `GET /images/json`; -1 is docker's "not counted". */
export function summarizeImage(
  image: Image,
  version: ApiVersion,
  containers: number = -1,
): ImageSummaryWire {
  return {
    Containers: containers,
    Created: unixSeconds(image.config.created ?? neverTime),
    Id: image.id,
    Labels: image.config.config.Labels ?? null,
    ParentId: "",
    RepoDigests: image.repoDigests,
    RepoTags: image.repoTags,
    SharedSize: -1,
    Size: image.sizeBytes,
    ...(isAtLeast(version, 1, 44) ? {} : { VirtualSize: image.sizeBytes }),
  };
}
