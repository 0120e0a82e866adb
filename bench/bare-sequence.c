// What a container costs at least: the system calls of one, in one child, with nothing decided, checked or supervised.
// usage: bare-sequence LOWER SCRATCH, as root; LOWER has bin/true, SCRATCH is empty. Prints the nanoseconds from the first call
// (clone3) until the program has been executed. Namespaces as Tiffin makes them (user, pid, mnt, uts, ipc, net), no cgroups.
#define _GNU_SOURCE
#include <err.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/if.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { HOST_ID = 1000000, RANGES = 99, LAST_CAPABILITY = 40 };

static struct sock_filter filter[4 * RANGES];
static int filter_length;
static char lower[4096], upper[4096], work[4096], place[4096];

static void must(long result, const char *what) {
  if (result < 0) err(1, "%s", what);
}

static int64_t now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * 1000000000LL + time.tv_nsec;
}

static int emit(uint16_t code, uint32_t k) {
  filter[filter_length] = (struct sock_filter){code, 0, 0, k};
  return filter_length++;
}

// A binary search over ranges of system call numbers, each of which is allowed, as a real profile's.
static void emit_tree(int from, int to) {
  if (to - from == 1) {
    emit(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    return;
  }
  int middle = (from + to) / 2;
  int compare = emit(BPF_JMP | BPF_JGE | BPF_K, (uint32_t)middle * 5);
  int jump = emit(BPF_JMP | BPF_JA, 0);
  emit_tree(from, middle);
  filter[jump].k = (uint32_t)(filter_length - jump - 1);
  // Greater or equal takes the jump over the lower half, smaller goes into it.
  filter[compare].jt = 0;
  filter[compare].jf = 1;
  emit_tree(middle, to);
}

static void mount_overlay(void) {
  long context = syscall(SYS_fsopen, "overlay", 1);
  must(context, "fsopen");
  const char *options[][2] = {{"source", "bare"}, {"lowerdir", lower}, {"upperdir", upper}, {"workdir", work}};
  for (int i = 0; i < 4; i++) must(syscall(SYS_fsconfig, context, 1, options[i][0], options[i][1], 0), options[i][0]);
  must(syscall(SYS_fsconfig, context, 0, "userxattr", NULL, 0), "userxattr");
  must(syscall(SYS_fsconfig, context, 6, NULL, NULL, 0), "make the overlay");
  long root = syscall(SYS_fsmount, context, 1, 0);
  must(root, "fsmount");
  must(syscall(SYS_move_mount, root, "", AT_FDCWD, place, 4), "move_mount");
  must(chdir(place), place);
}

static void bind_devices(void) {
  static const char *names[] = {"null", "zero", "full", "random", "urandom", "tty"};
  for (int i = 0; i < 6; i++) {
    char from[32], to[32];
    snprintf(from, sizeof from, "/dev/%s", names[i]);
    snprintf(to, sizeof to, "dev/%s", names[i]);
    int file = open(to, O_CREAT | O_CLOEXEC | O_WRONLY, 0666);
    must(file, to);
    close(file);
    must(mount(from, to, NULL, MS_BIND, NULL), to);
  }
}

static void make_tree(void) {
  static const char *directories[] = {"proc", "sys", "dev"};
  for (int i = 0; i < 3; i++) mkdir(directories[i], 0755);
  must(mount("proc", "proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL), "proc");
  must(mount("sysfs", "sys", "sysfs", MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_RDONLY, NULL), "sysfs");
  must(mount("tmpfs", "dev", "tmpfs", MS_NOSUID, "mode=755,size=64k"), "dev");
  bind_devices();
  static const char *inside[] = {"dev/pts", "dev/shm", "dev/mqueue"};
  for (int i = 0; i < 3; i++) must(mkdir(inside[i], 0755), inside[i]);
  must(mount("devpts", "dev/pts", "devpts", MS_NOSUID | MS_NOEXEC, "newinstance,ptmxmode=0666,mode=0620"), "devpts");
  must(mount("shm", "dev/shm", "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=1777,size=64m"), "shm");
  must(mount("mqueue", "dev/mqueue", "mqueue", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL), "mqueue");
  static const char *links[][2] = {{"/proc/self/fd", "dev/fd"}, {"/proc/self/fd/0", "dev/stdin"}, {"/proc/self/fd/1", "dev/stdout"}};
  for (int i = 0; i < 3; i++) must(symlink(links[i][0], links[i][1]), links[i][1]);
}

static void hide_and_protect(void) {
  static const char *masked[] = {"/proc/interrupts", "/proc/keys", "/proc/timer_list"};
  for (int i = 0; i < 3; i++) must(mount("/dev/null", masked[i], NULL, MS_BIND, NULL), masked[i]);
  must(mount("mask", "/sys/firmware", "tmpfs", MS_RDONLY, "size=0k"), "mask");
  static const char *read_only[] = {"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys"};
  for (int i = 0; i < 4; i++) {
    struct { uint64_t set, clear, propagation, userns; } attributes = {1, 0, 0, 0};
    long tree = syscall(SYS_open_tree, AT_FDCWD, read_only[i], 1 | O_CLOEXEC | 0x8000);
    must(tree, read_only[i]);
    must(syscall(SYS_mount_setattr, tree, "", AT_EMPTY_PATH | 0x8000, &attributes, sizeof attributes), "mount_setattr");
    must(syscall(SYS_move_mount, tree, "", AT_FDCWD, read_only[i], 4), "move_mount");
  }
}

static void bring_up_loopback(void) {
  struct ifreq request = {.ifr_name = "lo"};
  int socket_ = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  must(socket_, "socket");
  request.ifr_flags = IFF_UP;
  must(ioctl(socket_, SIOCSIFFLAGS, &request), "lo");
}

static void child(int mapped) {
  char byte;
  must(read(mapped, &byte, 1), "wait for the ids");
  must(setresgid(0, 0, 0), "setresgid");
  must(setresuid(0, 0, 0), "setresuid");
  must(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), "private");
  must(sethostname("bare", 4), "sethostname");
  bring_up_loopback();
  mount_overlay();
  make_tree();
  must(syscall(SYS_pivot_root, ".", "."), "pivot_root");
  must(umount2(".", MNT_DETACH), "umount2");
  must(chdir("/"), "chdir");
  hide_and_protect();
  setsid();
  for (int capability = 14; capability <= LAST_CAPABILITY; capability++) prctl(PR_CAPBSET_DROP, capability, 0, 0, 0);
  prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  struct sock_fprog program = {(unsigned short)filter_length, filter};
  must(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program), "seccomp");
  execl("/bin/true", "true", NULL);
  err(1, "exec");
}

static void write_map(long pid, const char *name) {
  char path[64], text[32];
  snprintf(path, sizeof path, "/proc/%ld/%s", pid, name);
  int length = snprintf(text, sizeof text, "0 %d 65536\n", HOST_ID);
  int file = open(path, O_WRONLY | O_CLOEXEC);
  must(file, path);
  must(write(file, text, (size_t)length), path);
  close(file);
}

static int64_t run(void) {
  int mapped[2], executed[2];
  must(pipe2(mapped, O_CLOEXEC), "pipe");
  must(pipe2(executed, O_CLOEXEC), "pipe");
  struct clone_args arguments = {
    .flags = CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWNET,
    .exit_signal = SIGCHLD,
  };
  int64_t start = now();
  long pid = syscall(SYS_clone3, &arguments, sizeof arguments);
  must(pid, "clone3");
  if (pid == 0) child(mapped[0]);
  write_map(pid, "uid_map");
  write_map(pid, "gid_map");
  must(write(mapped[1], "1", 1), "go");
  close(executed[1]);
  char byte;
  must(read(executed[0], &byte, 1), "wait for the program");
  int64_t took = now() - start;
  int status;
  must(waitpid((pid_t)pid, &status, 0), "waitpid");
  if (status != 0) errx(1, "the program ended with status %d", status);
  close(executed[0]), close(mapped[0]), close(mapped[1]);
  return took;
}

int main(int count, char **words) {
  if (count != 3) errx(2, "usage: bare-sequence LOWER SCRATCH");
  emit(BPF_LD | BPF_W | BPF_ABS, 0);
  emit_tree(0, RANGES);
  snprintf(lower, sizeof lower, "%s", words[1]);
  char *directories[] = {place, upper, work};
  const char *names[] = {"place", "upper", "work"};
  for (int i = 0; i < 3; i++) {
    snprintf(directories[i], sizeof place, "%s/%s", words[2], names[i]);
    must(mkdir(directories[i], 0755), directories[i]);
    must(chown(directories[i], HOST_ID, HOST_ID), directories[i]);
  }
  printf("%lld\n", (long long)run());
}
