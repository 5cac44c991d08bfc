/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * From power-on to guest_main. There are two ways in, and both meet in start32:
 *
 *	QEMU	enters the boot processor at pvh_start, named in an ELF note (PVH boot protocol,
 *		Xen's docs/misc/pvh.pandoc): 32-bit protected mode, flat segments, paging off. The
 *		other processors are woken by INIT and SIPI (Intel SDM vol. 3, "MP
 *		Initialization"), which start them in real mode at trampoline.
 *	vmm.c	enters every vCPU at the ELF entry point, start32, in the state that PVH asks for,
 *		its index in eax.
 *
 * start32 goes to long mode with constant page tables (16 MiB mapped one to one, open to user
 * mode), says its index on the serial port, so that whoever started the guest knows that it runs,
 * and calls guest_main in the ring which the guest chose. In ring 3 port I/O is allowed (IOPL 3).
 *
 * Ring 3 is the usual choice because a KVM without hardware virtualization emulates ring 0
 * instruction by instruction, but runs ring 3 natively.
 */
#include "guest.h"

#define SERIAL		0x3f8
#define TRAMPOLINE	0x8000		/* where a SIPI with vector 8 starts */
#define LAPIC_SPURIOUS	0xfee000f0
#define LAPIC_COMMAND	0xfee00300
#define ALL_BUT_SELF	0xc4000
#define INIT		0x500
#define STARTUP		0x600
#define MSR_EFER	0xc0000080
#define MAX_VCPUS	8
#define STACK_BYTES	4096

#define KERNEL_CODE32	0x08
#define KERNEL_DATA	0x10
#define KERNEL_CODE64	0x18
#define USER_DATA	0x23
#define USER_CODE64	0x2b

	.section .note.pvh, "a", @note
	.balign 4
	.long	4, 4, 18		/* sizes of name and value; XEN_ELFNOTE_PHYS32_ENTRY */
	.asciz	"Xen"
	.long	pvh_start

	.section .boot, "ax"
	.code32
	.globl	pvh_start
pvh_start:
	cld
	mov	$trampoline, %esi
	mov	$TRAMPOLINE, %edi
	mov	$trampoline_end - trampoline, %ecx
	rep movsb
	orl	$0x100, LAPIC_SPURIOUS	/* enable the local APIC */
	movl	$ALL_BUT_SELF + INIT, LAPIC_COMMAND
	movl	$ALL_BUT_SELF + STARTUP + (TRAMPOLINE >> 12), LAPIC_COMMAND
	xor	%eax, %eax

	.globl	start32
start32:
	mov	%eax, %edi		/* the vCPU's index, kept until guest_main */
	mov	%cr4, %eax
	or	$0x20, %eax		/* PAE */
	mov	%eax, %cr4
	mov	$pml4, %eax
	mov	%eax, %cr3
	mov	$MSR_EFER, %ecx
	rdmsr
	or	$0x100, %eax		/* LME */
	wrmsr
	mov	%cr0, %eax
	or	$0x80000001, %eax	/* PG, PE */
	mov	%eax, %cr0
	lgdt	gdt_pointer
	ljmp	$KERNEL_CODE64, $start64

	.code64
start64:
	mov	$KERNEL_DATA, %eax
	mov	%eax, %ss
	mov	%edi, %esi
	shl	$12, %esi
	lea	stacks + STACK_BYTES(%rsi), %rsp
	mov	$SERIAL, %edx
	lea	'0'(%rdi), %eax
	out	%al, %dx
	xor	%ebp, %ebp
	mov	$guest_ring, %eax
	test	%eax, %eax
	jz	guest_main

	lea	guest_main(%rip), %rax
	.globl	to_ring3
to_ring3:				/* goes on at rax, from ring 0 */
	mov	%rsp, %rsi
	mov	$USER_DATA, %ecx
	mov	%ecx, %ds
	mov	%ecx, %es
	push	$USER_DATA
	push	%rsi
	push	$0x3002			/* IOPL 3, no interrupts */
	push	$USER_CODE64
	push	%rax
	iretq

	.code16
trampoline:
	lgdtl	%cs:trampoline_gdt_pointer - trampoline
	mov	%cr0, %eax
	or	$1, %eax
	mov	%eax, %cr0
	ljmpl	$KERNEL_CODE32, $next_vcpu32
trampoline_gdt_pointer:
	.word	gdt_end - gdt - 1
	.long	gdt
trampoline_end:

	.code32
next_vcpu32:
	mov	$KERNEL_DATA, %eax
	mov	%eax, %ds
	mov	%eax, %es
	mov	%eax, %ss
	mov	$1, %eax
	lock xadd %eax, next_index
	jmp	start32

	.data
next_index:
	.long	1
	.balign 8
gdt:
	.quad	0
	.quad	0x00cf9a000000ffff	/* KERNEL_CODE32 */
	.quad	0x00cf92000000ffff	/* KERNEL_DATA */
	.quad	0x00af9a000000ffff	/* KERNEL_CODE64 */
	.quad	0x00cff2000000ffff	/* USER_DATA */
	.quad	0x00affa000000ffff	/* USER_CODE64 */
gdt_end:
gdt_pointer:
	.word	gdt_end - gdt - 1
	.long	gdt

	/* Present, writable, user; the last level maps 2 MiB pages, accessed and dirty already. */
	.balign 4096
pml4:
	.quad	pdp + 7
	.fill	511, 8, 0
pdp:
	.quad	pd + 7
	.fill	511, 8, 0
pd:
	.set	page, 0
	.rept	8
	.quad	page + 0xe7
	.set	page, page + 0x200000
	.endr
	.fill	504, 8, 0

	.bss
	.balign 4096
stacks:
	.skip	MAX_VCPUS * STACK_BYTES
