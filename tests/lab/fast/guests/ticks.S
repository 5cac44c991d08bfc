/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A guest that is woken by a timer 250 times a second, works a little in ring 0, and halts again. It takes an
 * interrupt controller in the kernel, which QEMU has and vmm.c has not: the timer is that of the local APIC, spoken to through
 * MSRs (x2APIC, Intel SDM vol. 3, "extended xAPIC"), since nothing is mapped where its registers are.
 */
#include "guest.h"

#define KERNEL_CODE64	  0x18	     /* boot.S */
#define VECTOR		  0x40
#define PERIOD_NS	  4000000    /* KVM's timers count nanoseconds */
#define MSR_APIC_BASE	  0x1b
#define MSR_X2APIC_EOI	  0x80b
#define MSR_X2APIC_SVR	  0x80f
#define MSR_X2APIC_LVTT	  0x832
#define MSR_X2APIC_TMICT  0x838
#define MSR_X2APIC_TDCR	  0x83e
#define X2APIC_ENABLE	  0xc00
#define SOFTWARE_ENABLE	  0x1ff
#define PERIODIC	  0x20000
#define DIVIDE_BY_1	  0xb
#define INTERRUPT_GATE	  0x8e00

	.macro write_msr number, value
	mov	$\number, %ecx
	mov	$\value, %eax
	xor	%edx, %edx
	wrmsr
	.endm

	ring	0
	truth_flag "idle 0"
	function guest_main
	lea	tick(%rip), %rax
	lea	idt + VECTOR * 16(%rip), %rdi
	mov	%ax, (%rdi)
	movw	$KERNEL_CODE64, 2(%rdi)
	movw	$INTERRUPT_GATE, 4(%rdi)
	shr	$16, %rax
	mov	%ax, 6(%rdi)
	lidt	idt_pointer(%rip)
	mov	$0xff, %al		/* firmware has left a timer behind the old controllers: mask them */
	out	%al, $0x21
	out	%al, $0xa1
	mov	$MSR_APIC_BASE, %ecx
	rdmsr
	or	$X2APIC_ENABLE, %eax
	wrmsr
	write_msr MSR_X2APIC_SVR, SOFTWARE_ENABLE
	write_msr MSR_X2APIC_TDCR, DIVIDE_BY_1
	write_msr MSR_X2APIC_LVTT, PERIODIC + VECTOR
	write_msr MSR_X2APIC_TMICT, PERIOD_NS
	sti
1:	hlt
	spin	1000		/* on a KVM that emulates ring 0 even this is half of the period */
	jmp	1b
	end_function guest_main

	function tick
	push	%rax
	push	%rcx
	push	%rdx
	write_msr MSR_X2APIC_EOI, 0
	pop	%rdx
	pop	%rcx
	pop	%rax
	iretq
	end_function tick

	.data
	.balign 16
idt:
	.fill	(VECTOR + 1) * 2, 8, 0
idt_end:
idt_pointer:
	.word	idt_end - idt - 1
	.quad	idt
