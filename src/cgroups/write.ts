export type Controller =
  | "memory"
  | "cpu"
  | "cpuacct"
  | "cpuset"
  | "pids"
  | "devices"
  | "freezer"
  | "blkio"
  | "hugetlb"
  | "net_cls"
  | "net_prio"
  | "rdma";

/** One value for one file of a container's cgroup. */
export interface CgroupWrite {
  /** Whose hierarchy on v1. */
  readonly controller: Controller;
  readonly file: string;
  readonly value: string;
  /** The kernel may lack the file: then there is no such limit. */
  readonly optional?: boolean;
  /** In words that follow "to". */
  readonly reason: string;
}
