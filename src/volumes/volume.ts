/** Marks volumes without a name of the user's: what docker's prune and ours look for. */
export const ANONYMOUS_LABEL = "com.docker.volume.anonymous";

/** The one driver there is. */
export const LOCAL_DRIVER = "local";

export interface Volume {
  readonly name: string;
  /** ISO 8601. */
  readonly createdAt: string;
  readonly labels: Readonly<Record<string, string>>;
  /** The local driver's: type, o, device. Empty: a plain directory. */
  readonly options: Readonly<Record<string, string>>;
  /**
   * ID of the container that the volume comes or goes with: it is being made for that container, or that container is
   * being removed together with it. "": it stands by itself. Recovery removes it when that container is not there.
   */
  readonly maker: string;
}
