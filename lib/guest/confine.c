/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The filters are classic BPF over struct seccomp_data (Documentation/userspace-api/seccomp_filter.rst), one comparison for each system
 * call that is allowed. A filter can only be made stricter: a parser's comes on top of its nursery's.
 *
 * prctl(PR_SET_SECCOMP) and not seccomp(2): services under systemd's @system-service may call the first.
 */
#include <assert.h>
#include <errno.h>
#include <grp.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "guest/confine.h"
#include "util/macro.h"

#define NOBODY 65534

/* ---- rights ---- */

static int leave_root(void)
{
	if (geteuid() != 0)
		return 0;
	/* Where root is that of a user namespace nobody may be unknown: then it is root without any right. */
	if (setgroups(0, NULL) < 0 || setresgid(NOBODY, NOBODY, NOBODY) < 0 || setresuid(NOBODY, NOBODY, NOBODY) < 0)
		return errno == EINVAL || errno == EPERM ? 0 : -errno;
	return 0;
}

static int drop_capabilities(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {}, left[_LINUX_CAPABILITY_U32S_3] = {};

	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	if (syscall(SYS_capset, &header, none) < 0 || syscall(SYS_capget, &header, left) < 0)
		return -errno;
	return memcmp(left, none, sizeof(none)) == 0 ? 0 : -EPERM;
}

int confine_rights(void)
{
	int r = leave_root();

	if (r == 0)
		r = drop_capabilities();
	if (r == 0 && (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0))
		r = -errno;
	return r;
}

/* ---- system calls ---- */

#define FIELD(field)	BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define ALLOW		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)
#define KILL		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS)
#define ALLOW_CALL(name) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_##name, 0, 1), ALLOW

/* The low half of an argument: arguments are stored as 64 bits, and machines that this is built for are little-endian. */
#define ARGUMENT(i) offsetof(struct seccomp_data, args) + 8 * (i)

#define ONLY_THIS_MACHINE(arch_number)                                                                                \
	FIELD(arch), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (arch_number), 1, 0), KILL, FIELD(nr)

/* What both need. */
#define CALLS_OF_ALL                                                                                                  \
	ALLOW_CALL(read), ALLOW_CALL(write), ALLOW_CALL(munmap), ALLOW_CALL(brk), ALLOW_CALL(madvise),                \
		ALLOW_CALL(mremap), ALLOW_CALL(futex), ALLOW_CALL(clock_gettime), ALLOW_CALL(getrandom),              \
		ALLOW_CALL(rt_sigreturn), ALLOW_CALL(restart_syscall), ALLOW_CALL(exit), ALLOW_CALL(exit_group)

/* Memory that is nobody's file and holds no code. For any other call its number stays loaded. */
#define MMAP_OF_DATA                                                                                                  \
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_mmap, 0, 6), BPF_STMT(BPF_LD | BPF_W | BPF_ABS, ARGUMENT(2)),         \
		BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, PROT_EXEC, 3, 0),                                                \
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, ARGUMENT(3)),                                                      \
		BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, MAP_ANONYMOUS, 0, 1), ALLOW, KILL

#if defined(__x86_64__)
#define ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define ARCH AUDIT_ARCH_AARCH64
#else
#error "which number has this machine in linux/audit.h?"
#endif
static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "see ARGUMENT()");

/* The sanitizers' runtimes look around, also when they have something to say. */
#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED true
#define CALLS_OF_SANITIZERS                                                                                           \
	ALLOW_CALL(mprotect), ALLOW_CALL(getpid), ALLOW_CALL(gettid), ALLOW_CALL(sched_yield),                        \
		ALLOW_CALL(sigaltstack), ALLOW_CALL(rt_sigprocmask), ALLOW_CALL(rt_sigaction), ALLOW_CALL(openat),    \
		ALLOW_CALL(close), ALLOW_CALL(readlink), ALLOW_CALL(ioctl), ALLOW_CALL(sched_getaffinity)
#else
#define SANITIZED false
#define CALLS_OF_SANITIZERS ALLOW_CALL(read)
#endif

static int filter(const struct sock_filter *code, size_t n)
{
	const struct sock_fprog program = {(unsigned short)n, (struct sock_filter *)code};

	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) < 0 ? -errno : 0;
}

int confine_nursery(void)
{
	static const struct sock_filter code[] = {
		ONLY_THIS_MACHINE(ARCH), MMAP_OF_DATA,	     CALLS_OF_ALL,	      CALLS_OF_SANITIZERS,
		ALLOW_CALL(clone),	 ALLOW_CALL(clone3), ALLOW_CALL(wait4),	      ALLOW_CALL(kill),
		ALLOW_CALL(recvmsg),	 ALLOW_CALL(close),  ALLOW_CALL(dup3),	      ALLOW_CALL(dup2),
		ALLOW_CALL(prctl),	 ALLOW_CALL(gettid), ALLOW_CALL(prlimit64),   ALLOW_CALL(set_robust_list),
		ALLOW_CALL(clock_nanosleep), ALLOW_CALL(getpid), ALLOW_CALL(rseq),   ALLOW_CALL(rt_sigaction), ALLOW_CALL(rt_sigprocmask),
		KILL,
	};

	return filter(code, ARRAY_SIZE(code));
}

static int limit(int what, uint64_t most)
{
	const struct rlimit limits = {most, most};

	return setrlimit(what, &limits) < 0 ? -errno : 0;
}

int confine_parser(void)
{
	static const struct sock_filter code[] = {
		ONLY_THIS_MACHINE(ARCH), MMAP_OF_DATA, CALLS_OF_ALL, CALLS_OF_SANITIZERS, KILL,
	};
	/* The sanitizers' shadow is terabytes of address space. */
	int r = SANITIZED ? 0 : limit(RLIMIT_AS, CONFINE_MEMORY_BYTES);

	if (r == 0)
		r = limit(RLIMIT_CPU, CONFINE_CPU_S);
	if (r == 0)
		r = limit(RLIMIT_CORE, 0);
	if (r == 0)
		r = limit(RLIMIT_FSIZE, 0);
	return r == 0 ? filter(code, ARRAY_SIZE(code)) : r;
}
