// What a program without a libc needs: system calls, and the memory functions that the compiler may call.
#pragma once
#include <stddef.h>
#include <stdint.h>
#include <asm/unistd.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int32_t i32;
typedef int64_t i64;

#if defined(__x86_64__)
static inline long sys6(long n, long a, long b, long c, long d, long e, long f) {
  register long r10 __asm__("r10") = d, r8 __asm__("r8") = e, r9 __asm__("r9") = f;
  long result;
  __asm__ volatile("syscall" : "=a"(result) : "a"(n), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9) : "rcx", "r11", "memory");
  return result;
}
// A counter of constant rate: a system call for the time of every operation would cost more than most operations.
static inline u64 ticks(void) {
  u32 low, high;
  __asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
  return (u64)high << 32 | low;
}
#define ENTRY(function) __asm__(".globl _start\n_start: xor %ebp, %ebp\nand $-16, %rsp\ncall " #function "\nhlt\n")
// Before the entry stand two addresses of the program that this one stands before: of its `environ` (or 0), and its own entry.
// `function` gets the stack and both, and returns the stack to go on with.
#define FRONT_ENTRY(function) \
  __asm__(".globl _start\n.balign 8\n.quad 0, 0\n_start: mov %rsp, %rdi\nmov _start-8(%rip), %rsi\nsub $32, %rsp\nmov %rdx, (%rsp)\nmov _start-16(%rip), %rdx\ncall " #function "\nmov (%rsp), %rdx\nmov %rax, %rsp\njmp *_start-8(%rip)\n")
#elif defined(__aarch64__)
static inline long sys6(long n, long a, long b, long c, long d, long e, long f) {
  register long x8 __asm__("x8") = n, x0 __asm__("x0") = a, x1 __asm__("x1") = b, x2 __asm__("x2") = c, x3 __asm__("x3") = d,
       x4 __asm__("x4") = e, x5 __asm__("x5") = f;
  __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5) : "memory");
  return x0;
}
static inline u64 ticks(void) {
  u64 value;
  __asm__ volatile("mrs %0, cntvct_el0" : "=r"(value));
  return value;
}
#define ENTRY(function) __asm__(".globl _start\n_start: mov x29, #0\nbl " #function "\nbrk #0\n")
#define FRONT_ENTRY(function) \
  __asm__(".globl _start\n.balign 8\n.quad 0, 0\n_start: stp x0, x30, [sp, #-32]!\nadd x0, sp, #32\nldr x1, _start-8\nldr x2, _start-16\nbl " #function "\nmov x9, x0\nldp x0, x30, [sp]\nmov sp, x9\nldr x16, _start-8\nbr x16\n")
#endif

#define SYS(name, ...) SYS_(__NR_##name, __VA_ARGS__, 0, 0, 0, 0, 0, 0)
#define SYS_(n, a, b, c, d, e, f, ...) sys6(n, (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), (long)(f))

void *memcpy(void *to, const void *from, size_t size);
void *memset(void *to, int value, size_t size);
void *memmove(void *to, const void *from, size_t size);

_Noreturn static inline void quit(int status) {
  for (;;) SYS(exit_group, status);
}
