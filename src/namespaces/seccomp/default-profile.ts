import { ERRNO } from "../../base/errno.ts";
import type { CapabilityName } from "../capabilities.ts";
import { type ArgumentTest, RETURN, type SeccompProfile, type SeccompRule } from "./profile.ts";

/*
 * The filter that every container gets unless told otherwise: it allows what docker's default profile allows on x86-64
 * and arm64 and nothing more, grouped by what the calls are for. What it leaves out: the kernel's own keys, modules,
 * clocks and swap, mounting, namespaces, bpf, perf, io_uring, userfaultfd and what has long been obsolete.
 */

const PROCESSES = `
  execve execveat exit exit_group fork get_robust_list getcpu getpgid getpgrp getpid getppid
  getpriority getrlimit getrusage getsid get_thread_area gettid ioprio_get ioprio_set kill membarrier
  pidfd_open pidfd_send_signal prctl prlimit64 process_mrelease restart_syscall rseq sched_get_priority_max
  sched_get_priority_min sched_getaffinity sched_getattr sched_getparam sched_getscheduler sched_rr_get_interval
  sched_setaffinity sched_setattr sched_setparam sched_setscheduler sched_yield seccomp set_robust_list
  set_thread_area set_tid_address setpgid setpriority setrlimit setsid tgkill times tkill umask uname uretprobe vfork
  wait4 waitid sysinfo landlock_add_rule landlock_create_ruleset landlock_restrict_self`;

const USERS = `
  capget capset getegid geteuid getgid getgroups getresgid getresuid getuid setfsgid setfsuid setgid setgroups
  setregid setresgid setresuid setreuid setuid`;

const SIGNALS_AND_TIME = `
  adjtimex alarm clock_adjtime clock_getres clock_gettime clock_nanosleep getitimer gettimeofday nanosleep pause
  rt_sigaction rt_sigpending rt_sigprocmask rt_sigqueueinfo rt_sigreturn rt_sigsuspend rt_sigtimedwait
  rt_tgsigqueueinfo setitimer sigaltstack signalfd signalfd4 time timer_create timer_delete timer_getoverrun
  timer_gettime timer_settime timerfd_create timerfd_gettime timerfd_settime`;

const MEMORY = `
  brk cachestat futex futex_requeue futex_wait futex_waitv futex_wake madvise map_shadow_stack memfd_create
  memfd_secret mincore mlock mlock2 mlockall mmap mprotect mremap mseal msync munlock munlockall munmap pkey_alloc
  pkey_free pkey_mprotect readahead remap_file_pages getrandom`;

const FILES = `
  access chdir chmod chown close close_range copy_file_range creat dup dup2 dup3 faccessat faccessat2 fadvise64
  fallocate fanotify_mark fchdir fchmod fchmodat fchmodat2 fchown fchownat fcntl fdatasync fgetxattr flistxattr flock
  fremovexattr fsetxattr fstat fstatfs fsync ftruncate futimesat getcwd getdents getdents64 getxattr getxattrat
  inotify_add_watch inotify_init inotify_init1 inotify_rm_watch ioctl lchown lgetxattr link linkat listmount listxattr
  listxattrat llistxattr lremovexattr lseek lsetxattr lstat mkdir mkdirat mknod mknodat name_to_handle_at newfstatat
  open openat openat2 pread64 preadv preadv2 pwrite64 pwritev pwritev2 read readlink readlinkat readv removexattr
  removexattrat rename renameat renameat2 rmdir sendfile setxattr setxattrat splice stat statfs statmount statx symlink
  symlinkat sync sync_file_range syncfs tee truncate unlink unlinkat utime utimensat utimes vmsplice write writev`;

const WAITING = `
  epoll_create epoll_create1 epoll_ctl epoll_ctl_old epoll_pwait epoll_pwait2 epoll_wait epoll_wait_old eventfd
  eventfd2 io_cancel io_destroy io_getevents io_pgetevents io_setup io_submit poll ppoll pselect6 select`;

const COMMUNICATION = `
  accept accept4 bind connect getpeername getsockname getsockopt listen mq_getsetattr mq_notify mq_open
  mq_timedreceive mq_timedsend mq_unlink msgctl msgget msgrcv msgsnd pipe pipe2 recvfrom recvmmsg recvmsg semctl semget
  semop semtimedop sendmmsg sendmsg sendto setsockopt shmat shmctl shmdt shmget shutdown socketpair`;

/** What each capability opens beside. */
const BY_CAPABILITY: readonly (readonly [CapabilityName, string])[] = [
  ["CAP_BPF", "bpf"],
  ["CAP_DAC_READ_SEARCH", "open_by_handle_at"],
  ["CAP_PERFMON", "perf_event_open"],
  [
    "CAP_SYS_ADMIN",
    `bpf clone clone3 fanotify_init fsconfig fsmount fsopen fspick lookup_dcookie lsm_get_self_attr lsm_list_modules
     lsm_set_self_attr mount mount_setattr move_mount open_tree perf_event_open quotactl quotactl_fd setdomainname
     sethostname setns syslog umount2 unshare`,
  ],
  ["CAP_SYS_BOOT", "reboot"],
  ["CAP_SYS_CHROOT", "chroot"],
  ["CAP_SYS_MODULE", "delete_module finit_module init_module"],
  ["CAP_SYS_NICE", "get_mempolicy mbind set_mempolicy set_mempolicy_home_node"],
  ["CAP_SYS_PACCT", "acct"],
  ["CAP_SYS_PTRACE", "kcmp pidfd_getfd process_madvise process_vm_readv process_vm_writev ptrace"],
  ["CAP_SYS_RAWIO", "ioperm iopl"],
  ["CAP_SYS_TIME", "clock_settime settimeofday"],
  ["CAP_SYS_TTY_CONFIG", "vhangup"],
  ["CAP_SYSLOG", "syslog"],
];

const ALL_BITS = 0xffff_ffff_ffff_ffffn;
const LOW_BITS = 0xffff_ffffn;

function names(text: string): string[] {
  return text.split(/\s+/).filter(Boolean);
}

function allow(text: string, more: Partial<SeccompRule> = {}): SeccompRule {
  return { names: names(text), action: RETURN.ALLOW, tests: [], ...more };
}

function firstArgument(op: ArgumentTest["op"], value: number, mask = ALL_BITS): ArgumentTest {
  return { index: 0, op, value: BigInt(value), mask };
}

/** CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET. */
const NEW_NAMESPACES = 0x7e020000n;
const AF_ALG = 38;
const AF_VSOCK = 40;

/** PER_LINUX, PER_LINUX32, with UNAME26 each, and the question for the present one. */
const PERSONALITIES = [0, 8, 0x20000, 0x20008, 0xffffffff];

export const DEFAULT_PROFILE: SeccompProfile = {
  defaultAction: RETURN.ERRNO | ERRNO.EPERM,
  log: false,
  rules: [
    allow([PROCESSES, USERS, SIGNALS_AND_TIME, MEMORY, FILES, WAITING, COMMUNICATION].join(" ")),
    allow("arch_prctl modify_ldt", { includes: { architectures: ["amd64"] } }),
    // Before 4.8 a tracer could go round the filter.
    allow("process_vm_readv process_vm_writev ptrace", { includes: { minimumKernel: [4, 8] } }),
    // The kernel reads the family as 32 bits; testing all 64, as others do, would let VSOCK pass with a bit set above.
    allow("socket", {
      tests: [firstArgument("ne", AF_ALG, LOW_BITS), firstArgument("ne", AF_VSOCK, LOW_BITS)],
    }),
    ...PERSONALITIES.map((value) => allow("personality", { tests: [firstArgument("eq", value)] })),
    allow("clone", {
      tests: [firstArgument("eq", 0, NEW_NAMESPACES)],
      excludes: { capabilities: ["CAP_SYS_ADMIN"] },
    }),
    // Its flags are in memory, where a filter cannot look: C libraries fall back to clone.
    {
      names: ["clone3"],
      action: RETURN.ERRNO | ERRNO.ENOSYS,
      tests: [],
      excludes: { capabilities: ["CAP_SYS_ADMIN"] },
    },
    ...BY_CAPABILITY.map(([capability, calls]) =>
      allow(calls, { includes: { capabilities: [capability] } }),
    ),
  ],
};
