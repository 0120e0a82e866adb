// Tries all ways into another process and tells each that works.
// usage: touch-process PID
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

static void tell(const char *way, int works) {
  if (works) printf("WORKS %s\n", way);
  else printf("refused %s: %s\n", way, strerror(errno));
}

static int opens(int pid, const char *name, int flags) {
  char path[64];
  snprintf(path, sizeof path, "/proc/%d/%s", pid, name);
  int file = open(path, flags | O_CLOEXEC);
  if (file >= 0) close(file);
  return file >= 0;
}

int main(int count, char **words) {
  if (count != 2) return 2;
  int pid = atoi(words[1]);
  char byte;
  struct iovec local = {&byte, 1}, remote = {(void *)0x400000, 1};
  tell("/proc/PID/mem", opens(pid, "mem", O_RDWR));
  tell("/proc/PID/environ", opens(pid, "environ", O_RDONLY));
  tell("/proc/PID/root", opens(pid, "root/", O_RDONLY));
  tell("/proc/PID/cwd", opens(pid, "cwd/", O_RDONLY));
  tell("/proc/PID/exe", opens(pid, "exe", O_RDONLY));
  tell("/proc/PID/ns/mnt", opens(pid, "ns/mnt", O_RDONLY));
  tell("/proc/PID/fd/0", opens(pid, "fd/0", O_RDONLY | O_NONBLOCK));
  // Reading one byte: a fault of the address tells that the process itself was reached.
  tell("process_vm_readv", process_vm_readv(pid, &local, 1, &remote, 1, 0) == 1 || errno == EFAULT);
  int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
  tell("pidfd_getfd", pidfd >= 0 && syscall(SYS_pidfd_getfd, pidfd, 0, 0) >= 0);
  long seized = ptrace(PTRACE_SEIZE, pid, 0, 0);
  tell("ptrace", seized == 0);
  if (seized == 0) ptrace(PTRACE_DETACH, pid, 0, 0);
  return 0;
}
