#define _GNU_SOURCE
#include "CConfinement.h"

#include <errno.h>

#if defined(__linux__) && (defined(__x86_64__) || defined(__aarch64__))

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(__x86_64__)
#define ARCHITECTURE AUDIT_ARCH_X86_64
#else
#define ARCHITECTURE AUDIT_ARCH_AARCH64
#endif

#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define END(action) BPF_STMT(BPF_RET | BPF_K, (action))
// The next statement is passed over unless the value is `k`.
#define IF(k) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (k), 0, 1)
#define ALLOW(call) IF(call), END(SECCOMP_RET_ALLOW)

static int set_filter(unsigned flags, const struct sock_fprog *program) {
  return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, program) == 0 ? 0 : errno;
}

int confinement_fault(void) {
  // A kernel that takes filters looks at where this one lies first of all.
  const int fault = set_filter(0, NULL);
  return fault == EFAULT ? 0 : fault ? fault : EINVAL;
}

static void close_the_rest(void) {
#ifdef SYS_close_range
  if (syscall(SYS_close_range, 3u, ~0u, 0u) == 0) return;
#endif
  for (int descriptor = 3; descriptor < 65536; descriptor++) close(descriptor);
}

int confine_process(void) {
  struct sock_filter statements[] = {
      LOAD(arch),
      IF(ARCHITECTURE), BPF_JUMP(BPF_JMP | BPF_JA, 1, 0, 0), END(SECCOMP_RET_KILL_PROCESS),
      // Calls of x86's x32 have numbers of their own, none of which is here.
      LOAD(nr),
      ALLOW(SYS_read), ALLOW(SYS_write), ALLOW(SYS_readv), ALLOW(SYS_writev), ALLOW(SYS_close),
      ALLOW(SYS_brk), ALLOW(SYS_mmap), ALLOW(SYS_munmap), ALLOW(SYS_mremap), ALLOW(SYS_mprotect),
      ALLOW(SYS_madvise), ALLOW(SYS_futex), ALLOW(SYS_sched_yield), ALLOW(SYS_getrandom),
      ALLOW(SYS_clock_gettime), ALLOW(SYS_gettimeofday), ALLOW(SYS_getpid), ALLOW(SYS_gettid),
      ALLOW(SYS_rt_sigaction), ALLOW(SYS_rt_sigprocmask), ALLOW(SYS_rt_sigreturn),
      ALLOW(SYS_sigaltstack), ALLOW(SYS_restart_syscall), ALLOW(SYS_exit), ALLOW(SYS_exit_group),
      // How abort() ends a process; signals to others are not allowed.
      IF(SYS_tgkill), BPF_JUMP(BPF_JMP | BPF_JA, 1, 0, 0), END(SECCOMP_RET_ERRNO | EPERM),
      LOAD(args[0]),
      ALLOW((unsigned)getpid()),
      END(SECCOMP_RET_ERRNO | EPERM),
  };
  const struct sock_fprog program = {sizeof statements / sizeof *statements, statements};
  close_the_rest();
  // Or the kernel takes filters from root alone: what is started could be more than we are.
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return errno;
  return set_filter(SECCOMP_FILTER_FLAG_TSYNC, &program);
}

#else

int confine_process(void) { return ENOSYS; }
int confinement_fault(void) { return ENOSYS; }

#endif
