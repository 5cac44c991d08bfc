/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Flame graphs of made-up profiles, for the browser to look at. usage: pages DIRECTORY
 *
 *	kinds.html	each kind of frame and each status there is, two guests, processes; names that would rather be scripts
 *	diff.html	what became more, less, and not more than noise changes; something new, something gone
 *	large.html	100 000 different stacks, 40 deep
 */
#include <err.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>
#include <vpmu/export.h>

#include "profile/tables.h"
#include "util/macro.h"

static struct vpmu_profile *new_profile(void)
{
	VPMU_OPTS(vpmu_profile_opts, opts, .chains = true);
	struct vpmu_profile *p;

	if (vpmu_profile_new(&opts, &p, NULL) < 0)
		errx(1, "no memory");
	return p;
}

/* "gk:name" and so on: the side, or why there is no name. */
static const struct {
	const char *prefix, *dso;
	enum vpmu_side side;
	enum vpmu_frame_status status;
} sides[] = {
	{ "gk:", "[kernel]", VPMU_SIDE_GUEST_KERNEL, VPMU_FRAME_OK },
	{ "gu:", "/usr/sbin/nginx", VPMU_SIDE_GUEST_USER, VPMU_FRAME_OK },
	{ "hk:", "[kernel]", VPMU_SIDE_HOST_KERNEL, VPMU_FRAME_OK },
	{ "kvm:", "[kvm_amd]", VPMU_SIDE_HOST_KERNEL, VPMU_FRAME_OK },
	{ "hu:", "/usr/bin/qemu-system-x86_64", VPMU_SIDE_HOST_USER, VPMU_FRAME_OK },
	{ "hv:", "[hypervisor]", VPMU_SIDE_HYPERVISOR, VPMU_FRAME_OK },
	{ "??:", "[unknown]", VPMU_SIDE_UNKNOWN, VPMU_FRAME_OK },
	{ "gu0:", "/usr/lib/libssl.so.3", VPMU_SIDE_GUEST_USER, VPMU_FRAME_NO_SYMBOLS },
	{ "gk0:", "[unknown]", VPMU_SIDE_GUEST_KERNEL, VPMU_FRAME_NO_SYMBOL },
	{ "hk0:", "[unknown]", VPMU_SIDE_HOST_KERNEL, VPMU_FRAME_HIDDEN },
	{ "cut:", "[unknown]", VPMU_SIDE_GUEST_USER, VPMU_FRAME_TRUNCATED },
};

static uint32_t put_frame(struct vpmu_profile *p, const char *text)
{
	for (size_t i = 0; i < ARRAY_SIZE(sides); i++)
		if (starts_with(text, sides[i].prefix))
			return profile_put_frame(p, &(struct profile_frame){
				.symbol = profile_put_string(p, text + strlen(sides[i].prefix)),
				.dso = profile_put_string(p, sides[i].dso),
				.side = (uint8_t)sides[i].side,
				.status = (uint8_t)sides[i].status,
			});
	errx(1, "what is %s?", text);
}

/* @stack: frames with blanks between, outermost first. */
static void put(struct vpmu_profile *p, uint32_t guest, const char *process, uint64_t samples, const char *stack)
{
	char text[1024], *saved = NULL;
	uint32_t frames[64], n = 0;

	snprintf(text, sizeof(text), "%s", stack);
	for (char *frame = strtok_r(text, " ", &saved); frame; frame = strtok_r(NULL, " ", &saved))
		frames[n++] = put_frame(p, frame);
	for (uint32_t i = 0; i < n / 2; i++) {
		uint32_t frame = frames[i];

		frames[i] = frames[n - 1 - i];
		frames[n - 1 - i] = frame;
	}
	struct profile_entry e = {
		.guest = guest,
		.vcpu = 0,
		.process = profile_put_string(p, process),
		.leaf = frames[0],
		.stack = n > 1 ? profile_put_stack(p, frames, n) : PROFILE_NO_STACK,
		.side = p->tables.frames.items[frames[0]].side,
		.samples = samples,
		.weight = samples * 10000000 / 99,
	};
	if (profile_put(p, &e) < 0)
		errx(1, "no memory");
}

static struct vpmu_profile *kinds(void)
{
	struct vpmu_profile *p = new_profile();
	uint32_t web1 = profile_put_guest(p, "web1", ""), db = profile_put_guest(p, "db<script>alert(1)</script>", "");
	const char *nginx = "gu:_start gu:main gu:ngx_master_process_cycle gu:ngx_worker_process_cycle gu:ngx_process_events_and_timers";
	const char *kernel = "gk:entry_SYSCALL_64_after_hwframe gk:do_syscall_64";
	const char *kvm = "hu:kvm_vcpu_thread_fn hu:kvm_cpu_exec hk:entry_SYSCALL_64_after_hwframe hk:do_syscall_64 hk:__x64_sys_ioctl "
			  "hk:kvm_vcpu_ioctl hk:kvm_arch_vcpu_ioctl_run";
	char s[1024];

	p->coverage.guest_processes = 1;
#define STACK(...) (snprintf(s, sizeof(s), __VA_ARGS__), s)
	put(p, web1, "nginx", 220, STACK("%s gu:ngx_epoll_process_events gu:ngx_http_wait_request_handler gu:ngx_http_process_request", nginx));
	put(p, web1, "nginx", 140, STACK("%s gu:ngx_epoll_process_events gu:ngx_http_gzip_body_filter gu:deflate", nginx));
	put(p, web1, "nginx", 90, STACK("%s gu:ngx_epoll_process_events gu0:0x4f2d1", nginx));
	put(p, web1, "nginx", 160, STACK("%s gu:ngx_epoll_process_events gu:epoll_wait %s gk:__x64_sys_epoll_wait gk:do_epoll_wait", nginx, kernel));
	put(p, web1, "nginx", 120, STACK("%s gu:ngx_linux_sendfile_chain %s gk:__x64_sys_sendfile64 gk:tcp_sendmsg_locked", nginx, kernel));
	put(p, web1, "nginx", 60, STACK("%s gu:ngx_linux_sendfile_chain %s gk:__x64_sys_sendfile64 gk:copy_page_to_iter gk0:0xffffffffc0a81f34", nginx, kernel));
	put(p, web1, "nginx", 55, STACK("cut:[truncated] gu:SSL_write gu0:0x2b170"));
	put(p, web1, "kworker/0:1", 30, "gk:ret_from_fork gk:kthread gk:worker_thread gk:process_one_work");
	put(p, web1, "CPU 0/KVM", 75, STACK("%s kvm:svm_vcpu_run", kvm));
	put(p, web1, "CPU 0/KVM", 20, STACK("%s kvm:svm_handle_exit hk0:0x0", kvm));
	put(p, web1, "qemu", 24, "hu:main hu:qemu_main_loop hu:aio_dispatch");
	put(p, web1, "qemu", 5, "hv:hypercall");
	put(p, db, "postgres", 180, "gu:main gu:PostmasterMain gu:</script><script>alert(2)</script> gu:ExecScan gu:\"'><img/onerror=alert(3)>");
	put(p, db, "postgres", 60, "gu:main gu:PostmasterMain gu:\xe2\x80\xaegpj.exe\x1b[31m gu:heap_getnext");
	put(p, VPMU_NO_GUEST, "sshd", 12, "hu:main hu:sshd_loop hk:entry_SYSCALL_64_after_hwframe hk:do_syscall_64");
	put(p, VPMU_NO_GUEST, "swapper", 6, "??:nowhere");
	return p;
}

static void put_side(struct vpmu_profile *p, const uint64_t samples[7])
{
	uint32_t web1 = profile_put_guest(p, "web1", "");
	const char *main_loop = "gu:main gu:serve", *kernel = "gk:entry_SYSCALL_64_after_hwframe gk:do_syscall_64";
	const char *compress[] = { "gu:deflate_fast", "gu:deflate_slow", "gu:crc32" };
	char s[1024];

	for (int i = 0; i < 3; i++)
		if (samples[i])
			put(p, web1, "", samples[i], STACK("%s gu:compress %s", main_loop, compress[i]));
	put(p, web1, "", samples[3], STACK("%s gu:parse_request", main_loop));
	put(p, web1, "", samples[4], STACK("%s gu:read %s gk:ksys_read gk:vfs_read", main_loop, kernel));
	put(p, web1, "", samples[5], STACK("%s gu:write %s gk:ksys_write gk:vfs_write", main_loop, kernel));
	if (samples[6])
		put(p, web1, "", samples[6], STACK("%s gu:log_request %s gk:ksys_write gk:ext4_file_write_iter", main_loop, kernel));
}

static struct vpmu_profile *large(void)
{
	struct vpmu_profile *p = new_profile();
	uint32_t guest = profile_put_guest(p, "large", ""), state = 7;

	for (int i = 0; i < 100000; i++) {
		uint32_t frames[40];
		char name[32];

		for (int k = 39; k >= 0; k--) {
			state = state * 1103515245 + 12345;
			snprintf(name, sizeof(name), "gu:f%d_%u", 39 - k, k > 36 ? state >> 30 : k > 30 ? state >> 28 : state >> 24);
			frames[k] = put_frame(p, name);
		}
		struct profile_entry e = { .guest = guest, .leaf = frames[0], .side = VPMU_SIDE_GUEST_USER,
					   .stack = profile_put_stack(p, frames, 40), .samples = 1 + state % 5, .weight = 1 };
		if (profile_put(p, &e) < 0)
			errx(1, "no memory");
	}
	return p;
}

static int open_page(const char *directory, const char *name)
{
	char path[PATH_MAX];
	int fd;

	snprintf(path, sizeof(path), "%s/%s.html", directory, name);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0)
		err(1, "%s", path);
	return fd;
}

static void write_page(const char *directory, const char *name, struct vpmu_profile *p)
{
	VPMU_OPTS(vpmu_export_opts, opts, .title = "perf.data.kvm", .is_clock = true);
	int fd = open_page(directory, name);
	struct vpmu_error error;

	if (vpmu_export(p, "flamegraph", &opts, fd, &error) < 0)
		errx(1, "%s: %s", name, error.text);
	close(fd);
	vpmu_profile_free(p);
}

static void write_diff(const char *directory)
{
	VPMU_OPTS(vpmu_flamegraph_opts, opts, .base = "monday.data", .other = "tuesday.data");
	struct vpmu_profile *base = new_profile(), *other = new_profile();
	int fd = open_page(directory, "diff");
	struct vpmu_error error;

	put_side(base, (const uint64_t[]){ 800, 0, 100, 410, 500, 190, 90 });
	put_side(other, (const uint64_t[]){ 0, 1900, 210, 800, 650, 370, 0 });
	if (vpmu_flamegraph_diff(base, other, NULL, &opts, fd, &error) < 0)
		errx(1, "diff: %s", error.text);
	close(fd);
	vpmu_profile_free(base);
	vpmu_profile_free(other);
}

int main(int argc, char **argv)
{
	if (argc != 2)
		errx(2, "usage: pages DIRECTORY");
	write_page(argv[1], "kinds", kinds());
	write_diff(argv[1]);
	write_page(argv[1], "large", large());
	return 0;
}
