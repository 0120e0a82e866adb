// hello: the program of the built-in image. It tells what makes the process it runs in a container; outside one it
// tells the host's truth. Every line is read from the kernel there and then; what cannot be read is said so.
//
//   hello          aligned text, to be read in ten seconds
//   hello --json   the same facts raw, as the kernel words them; null: cannot be read, or no limit
//
// Sources: proc(5), namespaces(7), user_namespaces(7), capabilities(7), cgroups(7), the kernel's overlayfs.rst.
#define _GNU_SOURCE
#include <ctype.h>
#include <dirent.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LABEL_WIDTH = 14, TEXT_WIDTH = 96, SHOWN_PROCESSES = 4, SHOWN_OPTIONS = 160 };

static bool as_json;

// ---- printing ----

static void heading(const char *title) {
  if (!as_json)
    printf("\n%s\n", title);
}

// One fact, both ways: `raw` for programs (a number when it is one, NULL is null), the format for people.
__attribute__((format(printf, 4, 5))) static void fact(const char *label, const char *key, const char *raw,
                const char *format, ...) {
  static const char *separator = "{";
  va_list arguments;

  if (!as_json) {
    printf("  %-*s ", LABEL_WIDTH, label);
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    putchar('\n');
    return;
  }
  printf("%s\n  \"%s\": ", separator, key);
  separator = ",";
  if (!raw || (*raw && raw[strspn(raw, "0123456789")] == '\0')) {
    fputs(raw ? raw : "null", stdout);
    return;
  }
  putchar('"');
  for (; *raw; raw++)
    printf(*raw == '"' || *raw == '\\' ? "\\%c" : (unsigned char)*raw < ' ' ? "\\u%04x" : "%c", *raw);
  putchar('"');
}

// Text that lives as long as the program, which is short: nothing is freed.
__attribute__((format(printf, 1, 2))) static char *text_of(const char *format, ...) {
  char *text;
  va_list arguments;

  va_start(arguments, format);
  if (vasprintf(&text, format, arguments) < 0)
    exit(1);
  va_end(arguments);
  return text;
}

static const char *human(uint64_t bytes) {
  static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB" };
  double value = (double)bytes;
  int unit = 0;

  for (; value >= 1024 && unit < 4; unit++)
    value /= 1024;
  return text_of("%.4g %s", value, units[unit]);
}

// ---- reading ----

// A whole file as text without its last newline, or NULL.
static char *slurp(const char *path) {
  char *text = NULL;
  size_t room = 0;
  FILE *file = fopen(path, "re");
  // No text file of the kernel holds a NUL byte, so this reads to the end.
  ssize_t length = file ? getdelim(&text, &room, '\0', file) : -1;

  if (file)
    fclose(file);
  if (length <= 0)
    return NULL;
  if (text[length - 1] == '\n')
    text[length - 1] = '\0';
  return text;
}

// The value of "Name:\tvalue" in /proc/self/status, or NULL.
static const char *status_value(const char *name) {
  char *text = slurp("/proc/self/status"), *row;
  size_t length = strlen(name);

  while ((row = strsep(&text, "\n"))) {
    if (strncmp(row, name, length) == 0 && row[length] == ':')
      return row + length + 1 + strspn(row + length + 1, " \t");
  }
  return NULL;
}

struct mount {
  const char *root, *point, *type, *options;
};

// Takes the next line of mountinfo off `rest`; false at its end.
static bool next_mount(char **rest, struct mount *mount) {
  char *row = strsep(rest, "\n"), *field[64] = { 0 };
  int count = 0, dash = 6;

  while (row && count < 64 && (field[count] = strsep(&row, " ")))
    count++;
  while (dash < count && strcmp(field[dash], "-") != 0)
    dash++;
  if (dash + 3 >= count)
    return false;
  *mount = (struct mount){ field[3], field[4], field[dash + 1], field[dash + 3] };
  return true;
}

// ---- who it is, whom it sees ----

static void processes(void) {
  char *names = "", *more = "";
  int seen = 0;
  DIR *proc = opendir("/proc");
  struct dirent *entry;

  heading("PROCESSES");
  fact("my pid", "pid", text_of("%d", getpid()), "%d", getpid());
  while (proc && (entry = readdir(proc))) {
    char *name = isdigit((unsigned char)entry->d_name[0]) ? slurp(text_of("/proc/%s/comm", entry->d_name)) : NULL;

    if (!name) // not a process, or it ended meanwhile
      continue;
    if (seen < SHOWN_PROCESSES)
      names = text_of("%s%s%s %s", names, seen ? ", " : "", entry->d_name, name);
    else
      more = ", ...";
    seen++;
  }
  if (seen > 0)
    fact("in sight", "processes", text_of("%d", seen), "%d (%s%s)", seen, names, more);
  else
    fact("in sight", "processes", NULL, "cannot be read (/proc)");
}

static void identity(void) {
  char host[256] = "", *map = slurp("/proc/self/uid_map"), *row;
  uint64_t inside, outside, count;

  heading("IDENTITY");
  gethostname(host, sizeof host - 1);
  fact("host name", "hostname", host, "%s", host);
  fact("user in here", "uid", text_of("%u", getuid()), "%u", getuid());
  if (!map)
    fact("on the host", "uidMap", NULL, "cannot be read (/proc/self/uid_map)");
  while ((row = strsep(&map, "\n"))) {
    if (sscanf(row, "%" SCNu64 " %" SCNu64 " %" SCNu64, &inside, &outside, &count) == 3 &&
        getuid() >= inside && getuid() - inside < count)
      fact("on the host", "uidMap", text_of("%" PRIu64 " %" PRIu64 " %" PRIu64, inside, outside, count),
          "%" PRIu64 " (ids from %" PRIu64 " here are ids from %" PRIu64 " there, %" PRIu64 " of them)",
          outside + getuid() - inside, inside, outside, count);
  }
}

// ---- limits ----

struct cgroup {
  int version; // 0: not found
  char *path;
  size_t top; // length of the mount point: where walking up ends
};

// Whether a comma-separated list holds a word.
static bool lists(const char *list, const char *word) {
  return strstr(text_of(",%s,", list), text_of(",%s,", word)) != NULL;
}

// The directory of this process for a controller: v1 where the controller is mounted so, else v2.
static struct cgroup find_cgroup(const char *controller) {
  char *groups = slurp("/proc/self/cgroup"), *mounts = slurp("/proc/self/mountinfo"), *row, *own = NULL;
  struct mount mount;
  int version = 2;

  while ((row = strsep(&groups, "\n"))) {
    char *list = strchr(row, ':') + 1, *path = strchr(list, ':');

    *path++ = '\0';
    if (lists(list, controller) || (*list == '\0' && version == 2)) {
      own = path;
      version = *list ? 1 : 2;
    }
  }
  while (own && next_mount(&mounts, &mount)) {
    size_t root = strcmp(mount.root, "/") == 0 ? 0 : strlen(mount.root);
    // A mount may show a part of the hierarchy; a group outside of that part cannot be walked to.
    const char *below = strncmp(own, mount.root, root) == 0 ? own + root : "";

    if (version == 2 ? strcmp(mount.type, "cgroup2") == 0
         : strcmp(mount.type, "cgroup") == 0 && lists(mount.options, controller))
      return (struct cgroup){ version, text_of("%s%s", mount.point, strcmp(below, "/") ? below : ""),
            strlen(mount.point) };
  }
  return (struct cgroup){ 0 };
}

// The smallest limit on the way up, since every group above bounds too: UINT64_MAX when there is none. A second file,
// or a second number, is the period that the first is a quota of; the result is then in thousandths.
static uint64_t smallest(struct cgroup group, const char *file, const char *period_file) {
  uint64_t least = UINT64_MAX, value, period;
  char *slash;

  for (;;) {
    const char *text = slurp(text_of("%s/%s", group.path, file));
    const char *more = period_file ? slurp(text_of("%s/%s", group.path, period_file)) : NULL;
    int numbers = text ? sscanf(text_of("%s %s", text, more ? more : ""), "%" SCNu64 " %" SCNu64, &value, &period) : 0;

    // "max" is no number, -1 (v1) reads as the largest.
    if (numbers == 2 && period > 0 && value < (uint64_t)INT64_MAX / 1000)
      value = value * 1000 / period;
    if (numbers > 0 && value < least)
      least = value;
    slash = strrchr(group.path, '/');
    if (!slash || (size_t)(slash - group.path) < group.top)
      return least;
    *slash = '\0';
  }
}

struct limit {
  const char *label, *controller;
  const char *file[2], *period_file[2], *used_file[2]; // in v1, in v2
};

static const struct limit LIMITS[] = {
  { "memory", "memory", { "memory.limit_in_bytes", "memory.max" }, { 0 },
    { "memory.usage_in_bytes", "memory.current" } },
  { "cpu", "cpu", { "cpu.cfs_quota_us", "cpu.max" }, { "cpu.cfs_period_us", "cpu.max" }, { 0 } },
  { "processes", "pids", { "pids.max", "pids.max" }, { 0 }, { "pids.current", "pids.current" } },
};

static void limits(void) {
  heading("LIMITS");
  for (const struct limit *limit = LIMITS; limit < LIMITS + 3; limit++) {
    struct cgroup group = find_cgroup(limit->controller);
    const int at = group.version - 1;

    if (!group.version) {
      fact(limit->label, limit->controller, NULL, "cannot be read (no cgroup file system for it is mounted here)");
      continue;
    }
    const char *used = limit->used_file[at] ? slurp(text_of("%s/%s", group.path, limit->used_file[at])) : NULL;
    uint64_t value = smallest(group, limit->file[at], limit->period_file[at]);

    // v1 shows "no limit" of memory as the largest page-aligned number.
    if (value >= (uint64_t)INT64_MAX - 65536)
      fact(limit->label, limit->controller, NULL, "no limit (cgroup v%d)", group.version);
    else if (limit->period_file[at])
      fact(limit->label, limit->controller, text_of("%" PRIu64, value), "%.4g of %ld CPUs (cgroup v%d)",
          (double)value / 1000, sysconf(_SC_NPROCESSORS_ONLN), group.version);
    else if (strcmp(limit->controller, "memory") == 0)
      fact(limit->label, limit->controller, text_of("%" PRIu64, value), "%s, %s of it used (cgroup v%d)",
          human(value), used ? human(strtoull(used, NULL, 10)) : "?", group.version);
    else
      fact(limit->label, limit->controller, text_of("%" PRIu64, value), "%" PRIu64 ", %s of them used (cgroup v%d)",
          value, used ? used : "?", group.version);
  }
}

// ---- the root file system ----

// Lower layers of an overlay from its mount options: one "lowerdir+=" (or "datadir+=") each when they were added one by
// one, else "lowerdir=" with colons; a colon of a path is escaped by a backslash, itself shown as \134.
static int count_layers(const char *options) {
  int count = 0;
  const char *at = options;

  for (; (at = strstr(at, "dir+=")); at++)
    count++;
  at = strstr(options, "lowerdir=");
  if (!at)
    return count;
  for (count = 1; *at && *at != ','; at++)
    count += *at == ':' && at[1] != ':' && strncmp(at - 4, "\\134", 4) != 0;
  return count;
}

static void root_file_system(void) {
  char *mounts = slurp("/proc/self/mountinfo");
  struct mount mount, root = { 0 };

  heading("ROOT FILE SYSTEM");
  while (next_mount(&mounts, &mount)) {
    if (strcmp(mount.point, "/") == 0)
      root = mount; // the last one is on top
  }
  if (!root.type) {
    fact("layers", "layers", NULL, "cannot be read (/proc/self/mountinfo)");
    return;
  }
  int layers = strcmp(root.type, "overlay") == 0 ? count_layers(root.options) : 0;

  if (layers > 0)
    fact("layers", "layers", text_of("%d", layers), "%d, shared and read-only%s", layers,
        strstr(root.options, "upperdir=") ? "; changes go to one of its own" : "");
  else
    fact("layers", "layers", "0", "none");
  fact("mounted as", "root", text_of("%s %s", root.type, root.options), "%s %.*s%s", root.type, SHOWN_OPTIONS,
      root.options, strlen(root.options) > SHOWN_OPTIONS ? "..." : "");
}

// ---- namespaces and privileges ----

// `initial`: the fixed inode number of the machine's first namespace of that kind (linux/nsfs.h, enum init_ns_ino).
static const struct {
  const char *name;
  uint64_t initial;
} NAMESPACES[] = {
  { "pid", 0xEFFFFFFC }, { "mnt", 0xEFFFFFF8 },  { "uts", 0xEFFFFFFE },  { "ipc", 0xEFFFFFFF },
  { "net", 0xEFFFFFF9 }, { "user", 0xEFFFFFFD }, { "cgroup", 0xEFFFFFFB }, { "time", 0xEFFFFFFA },
};

static void namespaces(void) {
  struct stat status;

  heading("NAMESPACES");
  for (int i = 0; i < 8; i++) {
    const char *name = NAMESPACES[i].name;
    bool found = stat(text_of("/proc/self/ns/%s", name), &status) == 0;

    if (as_json)
      fact("", text_of("%sNamespace", name), found ? text_of("%ju", (uintmax_t)status.st_ino) : NULL, "%s", "");
    else
      printf("  %-6s %10s %-6s%s", name, found ? text_of("%ju", (uintmax_t)status.st_ino) : "unread",
          found && status.st_ino == NAMESPACES[i].initial ? "(host)" : "", i % 4 == 3 ? "\n" : "  ");
  }
}

static const char *const CAPABILITIES[] = {
  "chown", "dac_override", "dac_read_search", "fowner", "fsetid", "kill", "setgid", "setuid", "setpcap",
  "linux_immutable", "net_bind_service", "net_broadcast", "net_admin", "net_raw", "ipc_lock", "ipc_owner",
  "sys_module", "sys_rawio", "sys_chroot", "sys_ptrace", "sys_pacct", "sys_admin", "sys_boot", "sys_nice",
  "sys_resource", "sys_time", "sys_tty_config", "mknod", "lease", "audit_write", "audit_control", "setfcap",
  "mac_override", "mac_admin", "syslog", "wake_alarm", "block_suspend", "audit_read", "perfmon", "bpf",
  "checkpoint_restore",
};
enum { KNOWN_CAPABILITIES = sizeof CAPABILITIES / sizeof *CAPABILITIES };

// The names of a set of capabilities, wrapped.
static char *names_of(uint64_t set) {
  char *text = "";
  size_t column = TEXT_WIDTH;

  for (int bit = 0; bit < KNOWN_CAPABILITIES; bit++) {
    if (!(set >> bit & 1))
      continue;
    bool wrap = column + strlen(CAPABILITIES[bit]) >= TEXT_WIDTH;

    text = wrap ? text_of("%s\n  %*s %s", text, LABEL_WIDTH, "", CAPABILITIES[bit])
          : text_of("%s %s", text, CAPABILITIES[bit]);
    column = (wrap ? LABEL_WIDTH + 3 : column + 1) + strlen(CAPABILITIES[bit]);
  }
  return text;
}

static void capabilities(const char *label, const char *status_name) {
  const char *raw = status_value(status_name), *last = slurp("/proc/sys/kernel/cap_last_cap");
  uint64_t all = (2ULL << (last ? atoi(last) : KNOWN_CAPABILITIES - 1)) - 1;
  uint64_t set = raw ? strtoull(raw, NULL, 16) : 0;
  int count = __builtin_popcountll(set), missing = __builtin_popcountll(all & ~set);

  if (!raw)
    fact(label, status_name, NULL, "cannot be read (/proc/self/status)");
  else if (count == 0 || missing == 0)
    fact(label, status_name, raw, "%s", count == 0 ? "none" : "all");
  else if (count <= missing)
    fact(label, status_name, raw, "%d of %d%s", count, count + missing, names_of(set));
  else
    fact(label, status_name, raw, "%d of %d, without%s", count, count + missing, names_of(all & ~set));
}

static void privileges(void) {
  static const char *const modes[] = { "off", "strict", "filtered" };
  const char *seccomp = status_value("Seccomp"), *no_new = status_value("NoNewPrivs");
  unsigned mode = seccomp ? (unsigned)atoi(seccomp) : 3;

  heading("PRIVILEGES");
  capabilities("capabilities", "CapEff");
  if (as_json)
    capabilities("", "CapBnd");
  fact("system calls", "seccomp", seccomp, "%s (seccomp mode %s)", mode < 3 ? modes[mode] : "?",
       seccomp ? seccomp : "?");
  fact("setuid files", "noNewPrivileges", no_new, "%s (no_new_privs %s)",
      no_new && *no_new == '1' ? "add no privileges" : "may add privileges", no_new ? no_new : "cannot be read");
}

int main(int argc, char **argv) {
  as_json = argc == 2 && strcmp(argv[1], "--json") == 0;
  if (argc > 1 && !as_json) {
    fprintf(stderr, "Usage: %s [--json]\n", argv[0]);
    return 2;
  }
  if (!as_json)
    puts("Hello from Tiffin! This is what the kernel says about this process:");
  processes();
  identity();
  limits();
  root_file_system();
  namespaces();
  privileges();
  if (as_json)
    puts("\n}");
  return fflush(stdout) == 0 ? 0 : 1;
}
