// Makes one system call with numbers as arguments, and tells what it gives: `result N` or `errno N`.
// usage: try-call native|x32|i386 NUMBER [ARGUMENT...]; x32 sets bit 30 of the number, i386 goes through int 0x80.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static long old_interface(long number, const long *a) {
  long result = -ENOSYS;
#if defined(__x86_64__)
  __asm__ volatile("int $0x80" : "=a"(result) : "a"(number), "b"(a[0]), "c"(a[1]), "d"(a[2]), "S"(a[3]), "D"(a[4]) : "memory", "r8", "r9", "r10", "r11");
#else
  (void)number, (void)a;
#endif
  return (int)result;
}

int main(int count, char **words) {
  long arguments[6] = {0}, result;
  if (count < 3) return 2;
  for (int i = 3; i < count && i < 9; i++) arguments[i - 3] = (long)strtoull(words[i], 0, 0);
  const long *a = arguments;
  long number = strtol(words[2], 0, 0);
  if (strcmp(words[1], "x32") == 0) number |= 0x40000000;
  if (strcmp(words[1], "i386") == 0) {
    result = old_interface(number, a);
    if (result < 0) errno = (int)-result;
  } else {
    result = syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
  }
  if (result < 0) printf("errno %d\n", errno);
  else printf("result %ld\n", result);
  return 0;
}
