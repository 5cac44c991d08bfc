/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The types that our BPF programs need, from a kernel whose KVM is a module, without CAP_SYS_ADMIN.
 *
 * To fit a program to the running kernel libbpf needs the BTF (Documentation/bpf/btf.rst) of what it looks at. It asks the
 * kernel for the BTF of modules by number, which takes CAP_SYS_ADMIN (bpf_btf_get_fd_by_id(), kernel/bpf/syscall.c), and only takes
 * one whole BTF from elsewhere (btf_custom_path). But everybody can read /sys/kernel/btf: the kernel's is whole; those of
 * modules are "split", their types and strings numbered on from the end of the kernel's. So we make one of all: to the
 * kernel's types and strings those of KVM's modules are appended, renumbered where they come behind another module's.
 */
#ifndef HOST_BPF_TYPES_H
#define HOST_BPF_TYPES_H

#include <stddef.h>

#define BPF_TYPES_PATH_ROOM 64

/*
 * bpf_types_open - the types of the kernel and of KVM's modules. @sys_path: "/sys".
 * *ret_path, of @room bytes: where libbpf finds them while *ret_fd is open (-1: it is a file that stays).
 * Errors: -ENOENT (a kernel without BTF), -ENOMEM, -EINVAL (it is damaged), what reading gave.
 */
int bpf_types_open(const char *sys_path, char *ret_path, size_t room, int *ret_fd);

#endif
