// Types into the terminal that it was given, for whoever reads from it next (TIOCSTI). Tells whether it could.
// usage: push-input TEXT
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

int main(int count, char **words) {
  if (count != 2) return 2;
  for (const char *at = words[1]; *at; at++) {
    if (ioctl(0, TIOCSTI, at) != 0) return perror("TIOCSTI"), 1;
  }
  printf("pushed\n");
  return 0;
}
