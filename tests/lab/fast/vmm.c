/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The smallest virtual machine monitor that the lab needs: loads a guest of tests/lab/fast (an ELF
 * file whose physical addresses are its virtual ones) and runs it on KVM, one thread for each vCPU,
 * named as QEMU names them. It starts in milliseconds, has no devices but a write-only serial port,
 * and it can do what QEMU cannot: start a vCPU late.
 *
 * usage: vmm [--vcpus N] [--late] [--slow-us US] [--seconds S] GUEST.elf
 *	--vcpus		how many vCPUs (1)
 *	--late		all but vCPU 0 are plugged in at SIGUSR2, and not before
 *	--slow-us	how long writing to any port but the serial one takes: a device that the
 *			vCPU's thread has to wait for (0)
 *	--seconds	how long the guest runs (10)
 *
 * SIGUSR1 counts up the last 32-bit word of RAM: guests that wait for a sign look there, since every other way would make them
 * leave.
 *
 * Every vCPU begins in the state of the PVH boot protocol, 32-bit protected mode with flat segments
 * and paging off, at the ELF entry point, its index in eax. What the guest writes to the serial
 * port goes to standard output. There is no interrupt controller in the kernel, so HLT comes out to
 * us; we sleep for a while and let the guest halt again.
 */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <linux/kvm.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define RAM_BYTES   ((size_t)16 << 20)
#define MAX_VCPUS   8
#define MAX_CPUID   256
#define SERIAL_PORT 0x3f8
#define HALT_NS	    10000000 /* between two wake-ups of a halted guest: a slow timer tick */
#define CR0_PE_ET   0x11

static uint32_t *go_word;

struct vm {
	int kvm_fd, vm_fd;
	unsigned char *ram;
	uint32_t entry;
	size_t run_bytes; /* of the page that a vCPU shares with the kernel */
	unsigned int slow_us;
	struct kvm_cpuid2 *cpuid;
};

struct vcpu {
	struct vm *vm;
	unsigned int index;
	pthread_t thread;
};

static _Noreturn __attribute__((format(printf, 1, 2))) void die(const char *format, ...)
{
	int saved_errno = errno;
	va_list args;

	fputs("vmm: ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fprintf(stderr, ": %s\n", strerror(saved_errno));
	_exit(1);
}

static void sleep_ns(uint64_t ns)
{
	struct timespec left = {.tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000};

	while (nanosleep(&left, &left) < 0 && errno == EINTR)
		;
}

/* Copies the loadable segments of @path into guest RAM; returns the entry point. */
static uint32_t load_elf(const char *path, unsigned char *ram)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		die("%s", path);
	struct stat st;
	if (fstat(fd, &st) < 0)
		die("%s", path);
	size_t size = st.st_size;
	unsigned char *file = mmap(NULL, size ? size : 1, PROT_READ, MAP_PRIVATE, fd, 0);
	if (file == MAP_FAILED)
		die("%s", path);
	close(fd);

	Elf64_Ehdr *header = (Elf64_Ehdr *)file;
	errno = ENOEXEC;
	if (size < sizeof(*header) || memcmp(header->e_ident, ELFMAG, SELFMAG) != 0 ||
	    header->e_ident[EI_CLASS] != ELFCLASS64 || header->e_machine != EM_X86_64 ||
	    header->e_phoff > size ||
	    (size - header->e_phoff) / sizeof(Elf64_Phdr) < header->e_phnum)
		die("%s is no x86-64 ELF file", path);

	Elf64_Phdr *segment = (Elf64_Phdr *)(file + header->e_phoff);
	for (unsigned int i = 0; i < header->e_phnum; i++) {
		if (segment[i].p_type != PT_LOAD)
			continue;
		if (segment[i].p_offset > size ||
		    segment[i].p_filesz > size - segment[i].p_offset ||
		    segment[i].p_paddr > RAM_BYTES ||
		    segment[i].p_memsz > RAM_BYTES - segment[i].p_paddr ||
		    segment[i].p_filesz > segment[i].p_memsz)
			die("segment %u of %s does not fit into %zu MiB", i, path, RAM_BYTES >> 20);
		memcpy(ram + segment[i].p_paddr, file + segment[i].p_offset, segment[i].p_filesz);
	}
	uint32_t entry = header->e_entry;
	munmap(file, size);
	return entry;
}

static void vm_init(struct vm *vm, const char *image)
{
	vm->kvm_fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (vm->kvm_fd < 0)
		die("/dev/kvm");
	vm->vm_fd = ioctl(vm->kvm_fd, KVM_CREATE_VM, 0);
	if (vm->vm_fd < 0)
		die("KVM_CREATE_VM");
	int run_bytes = ioctl(vm->kvm_fd, KVM_GET_VCPU_MMAP_SIZE, 0);
	if (run_bytes < 0)
		die("KVM_GET_VCPU_MMAP_SIZE");
	vm->run_bytes = run_bytes;

	vm->ram = mmap(NULL, RAM_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (vm->ram == MAP_FAILED)
		die("guest RAM");
	go_word = (uint32_t *)(vm->ram + RAM_BYTES) - 1;
	vm->entry = load_elf(image, vm->ram);
	struct kvm_userspace_memory_region region = {
		.memory_size = RAM_BYTES,
		.userspace_addr = (uintptr_t)vm->ram,
	};
	if (ioctl(vm->vm_fd, KVM_SET_USER_MEMORY_REGION, &region) < 0)
		die("KVM_SET_USER_MEMORY_REGION");

	vm->cpuid = calloc(1, sizeof(*vm->cpuid) + MAX_CPUID * sizeof(struct kvm_cpuid_entry2));
	if (!vm->cpuid)
		die("out of memory");
	vm->cpuid->nent = MAX_CPUID;
	if (ioctl(vm->kvm_fd, KVM_GET_SUPPORTED_CPUID, vm->cpuid) < 0)
		die("KVM_GET_SUPPORTED_CPUID");
}

/* A flat segment of ring 0; types as in Intel SDM vol. 3, table 3-1. */
static struct kvm_segment flat(unsigned int selector, unsigned int type)
{
	return (struct kvm_segment){
		.selector = selector,
		.limit = 0xffffffff,
		.type = type,
		.present = 1,
		.s = 1,
		.db = 1,
		.g = 1,
	};
}

static int vcpu_open(const struct vcpu *vcpu)
{
	const struct vm *vm = vcpu->vm;
	int fd = ioctl(vm->vm_fd, KVM_CREATE_VCPU, vcpu->index);
	if (fd < 0)
		die("KVM_CREATE_VCPU %u", vcpu->index);
	if (ioctl(fd, KVM_SET_CPUID2, vm->cpuid) < 0)
		die("KVM_SET_CPUID2");
	/* Kept open for whoever wants KVM's statistics of us, as QEMU does. Kernels before 5.14 have none. */
	(void)ioctl(fd, KVM_GET_STATS_FD, 0);

	struct kvm_sregs sregs;
	if (ioctl(fd, KVM_GET_SREGS, &sregs) < 0)
		die("KVM_GET_SREGS");
	sregs.cr0 = CR0_PE_ET;
	sregs.cs = flat(0x08, 0xb); /* execute, read, accessed */
	sregs.ds = sregs.es = sregs.fs = sregs.gs = sregs.ss =
		flat(0x10, 3); /* read, write, accessed */
	if (ioctl(fd, KVM_SET_SREGS, &sregs) < 0)
		die("KVM_SET_SREGS");
	struct kvm_regs regs = {.rip = vm->entry, .rflags = 2, .rax = vcpu->index};
	if (ioctl(fd, KVM_SET_REGS, &regs) < 0)
		die("KVM_SET_REGS");
	return fd;
}

static void handle_io(const struct vm *vm, const struct kvm_run *run)
{
	const char *data = (const char *)run + run->io.data_offset;

	if (run->io.direction != KVM_EXIT_IO_OUT)
		return;
	if (run->io.port != SERIAL_PORT && vm->slow_us)
		sleep_ns(vm->slow_us * UINT64_C(1000));
	else if (run->io.port == SERIAL_PORT && write(STDOUT_FILENO, data, run->io.size) < 0)
		die("standard output");
}

static void *vcpu_main(void *arg)
{
	struct vcpu *vcpu = arg;
	char name[16];

	snprintf(name, sizeof(name), "CPU %u/KVM", vcpu->index);
	prctl(PR_SET_NAME, name);

	int fd = vcpu_open(vcpu);
	struct kvm_run *run =
		mmap(NULL, vcpu->vm->run_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (run == MAP_FAILED)
		die("vCPU %u", vcpu->index);
	for (;;) {
		if (ioctl(fd, KVM_RUN, 0) < 0 && errno != EINTR && errno != EAGAIN)
			die("KVM_RUN of vCPU %u", vcpu->index);
		switch (run->exit_reason) {
		case KVM_EXIT_IO:
			handle_io(vcpu->vm, run);
			break;
		case KVM_EXIT_HLT:
			sleep_ns(HALT_NS);
			break;
		case KVM_EXIT_INTR:
		case KVM_EXIT_MMIO: /* the local APIC's registers, when there is none */
			break;
		default:
			errno = EIO;
			die("vCPU %u stopped, KVM exit reason %u", vcpu->index, run->exit_reason);
		}
	}
	return NULL;
}

/* No thread gets SIGUSR2: who waits for it takes it. */
static sigset_t hold_plug_signal(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	return set;
}

static void on_go(int signal)
{
	(void)signal;
	__atomic_fetch_add(go_word, 1, __ATOMIC_SEQ_CST);
}

static unsigned int number(const char *text, unsigned int max)
{
	char *end;

	errno = 0;
	unsigned long value = strtoul(text, &end, 10);
	if (errno || *end || end == text || value > max) {
		errno = EINVAL;
		die("'%s'", text);
	}
	return value;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{"vcpus", required_argument, NULL, 'v'},
		{"late", no_argument, NULL, 'l'},
		{"slow-us", required_argument, NULL, 'u'},
		{"seconds", required_argument, NULL, 's'},
		{},
	};
	static struct vm vm;
	static struct vcpu vcpus[MAX_VCPUS];
	unsigned int n_vcpus = 1, seconds = 10;
	bool late = false;
	int opt;

	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (opt == 'v')
			n_vcpus = number(optarg, MAX_VCPUS);
		else if (opt == 'l')
			late = true;
		else if (opt == 'u')
			vm.slow_us = number(optarg, 1000000);
		else if (opt == 's')
			seconds = number(optarg, 3600);
		else
			return 2;
	}
	if (optind != argc - 1) {
		fprintf(stderr, "usage: vmm [--vcpus N] [--late] [--slow-us US] [--seconds S] GUEST.elf\n");
		return 2;
	}

	prctl(PR_SET_PDEATHSIG, SIGKILL); /* a lab that dies takes its guests along */
	vm_init(&vm, argv[optind]);
	sigaction(SIGUSR1, &(struct sigaction){.sa_handler = on_go}, NULL);
	sigset_t plug = hold_plug_signal();
	for (unsigned int i = 0; i < n_vcpus; i++) {
		if (i == 1 && late)
			sigwait(&plug, &(int){0});
		vcpus[i] = (struct vcpu){.vm = &vm, .index = i};
		errno = pthread_create(&vcpus[i].thread, NULL, vcpu_main, &vcpus[i]);
		if (errno)
			die("thread of vCPU %u", i);
	}
	sleep_ns(seconds * UINT64_C(1000000000));
	_exit(0); /* the vCPUs are still running: nothing to join */
}
