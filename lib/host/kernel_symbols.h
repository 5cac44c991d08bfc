/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The running kernel's symbols where /proc/kallsyms hides their addresses from us. It shows them to CAP_SYSLOG
 * (kallsyms_show_value(), kernel/kallsyms.c); a BPF iterator over symbols, since Linux 6.0, takes CAP_BPF and CAP_PERFMON, which
 * allow to read the kernel's memory anyway. With kernel.kptr_restrict at 2 the administrator wants nobody to see them: then
 * we do not, either.
 */
#ifndef HOST_KERNEL_SYMBOLS_H
#define HOST_KERNEL_SYMBOLS_H

/*
 * kernel_symbols_open - *ret_fd: to read the text of /proc/kallsyms from, addresses included.
 * Errors: -EACCES (kptr_restrict), -EPERM (rights), -EOPNOTSUPP (built without BPF), what the kernel said of the program.
 */
int kernel_symbols_open(int *ret_fd);

#endif
