/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Two address spaces with the same addresses: where first has its code and its stack, second has other code and another stack. Each works
 * deep in calls of its own and hands over to the other there, to go on at the same depth when it is its turn again. Their functions
 * lie at different places of the same page, so that names tell them apart; stacks begin at the same address.
 */
#include "far.h"

/* two-spaces.lds */
#define SPACE		0x40000000
#define FIRST_MEMORY	0x210000
#define SECOND_MEMORY	0x211000
#define DATA		0x220000

#define STACK_PAGES	4
#define STACK		(SPACE + (1 + STACK_PAGES) * PAGE)
#define STACK_MEMORY	0x800000	/* of first; second's is behind it */

#define KERNEL_CODE64	0x18		/* boot.S */
#define USER_DATA	0x23
#define USER_CODE64	0x2b
#define TASK		0x30
#define VECTOR		6		/* an undefined instruction: any KVM hands that over */
#define INTERRUPT_GATE	0x8e00
/* A space that does not run. */
#define CR3	0
#define RIP	8
#define RSP	16
#define RBP	24
#define CONTEXT	32

	ring	0
	truth_flag "chain 60 first_bottom (first_descend ){12}first_main "
	truth_flag "chain 40 second_bottom (second_odd second_even ){9}second_main "
	truth_flag "chain - (first_descend ){0,12}first_main "
	truth_flag "chain - (second_even )?(second_odd second_even ){0,9}second_main "
	function guest_main
	lgdt	gdt_pointer
	mov	$TASK, %eax
	ltr	%ax
	lea	hand_over(%rip), %rax
	lea	idt + VECTOR * 16(%rip), %rdi
	mov	%ax, (%rdi)
	movw	$KERNEL_CODE64, 2(%rdi)
	movw	$INTERRUPT_GATE, 4(%rdi)
	shr	$16, %rax
	mov	%ax, 6(%rdi)
	lidt	idt_pointer
	/* What is one to one in boot.S' tables is in both. */
	mov	%cr3, %rdi
	mov	(%rdi), %rdi
	and	$-PAGE, %rdi
	mov	(%rdi), %rax
	mov	%rax, first_pdp
	mov	%rax, second_pdp
	mov	$contexts, %ebx
	jmp	go_on
	end_function guest_main

	/* The undefined instruction, two bytes long. There is one vCPU and nothing else interrupts: one stack will do. */
	function hand_over
	mov	running, %rbx
	pop	RIP(%rbx)
	addl	$2, RIP(%rbx)
	pop	%rax
	pop	%rax
	pop	RSP(%rbx)
	mov	%rbp, RBP(%rbx)
	xor	$CONTEXT, %ebx		/* the other one */
go_on:
	mov	%rbx, running
	mov	CR3(%rbx), %rax
	mov	%rax, %cr3
	mov	$kernel_stack, %esp
	push	$USER_DATA
	push	RSP(%rbx)
	push	$0x3002
	push	$USER_CODE64
	push	RIP(%rbx)
	mov	RBP(%rbx), %rbp
	iretq
	end_function hand_over

	.macro	bottom name, section, iterations
	function \name, \section
	enter
	spin	\iterations
	ud2
	leave_return
	end_function \name
	truth	0, \name, \iterations, 1
	.endm

	function first_main, .first
1:	mov	$12, %edi
	call	first_descend
	jmp	1b
	end_function first_main

	function first_descend, .first
	enter
	sub	$416, %rsp
	dec	%edi
	jz	1f
	call	first_descend
	jmp	2f
1:	call	first_bottom
2:	leave
	ret
	end_function first_descend
	bottom	first_bottom, .first, 720000

	function second_main, .second
1:	mov	$9, %edi
	call	second_even
	jmp	1b
	end_function second_main

	function second_even, .second
	enter
	sub	$320, %rsp
	call	second_odd
	leave
	ret
	end_function second_even

	function second_odd, .second
	enter
	sub	$192, %rsp
	dec	%edi
	jz	1f
	call	second_even
	jmp	2f
1:	call	second_bottom
2:	leave
	ret
	end_function second_odd
	bottom	second_bottom, .second, 480000

	.data
	.balign 16
gdt:					/* as boot.S has it, and a task */
	.quad	0
	.quad	0x00cf9a000000ffff
	.quad	0x00cf92000000ffff
	.quad	0x00af9a000000ffff
	.quad	0x00cff2000000ffff
	.quad	0x00affa000000ffff
	.word	task_end - task - 1, task - DATA
	.byte	DATA >> 16, 0x89, 0, 0
	.quad	0
gdt_end:
gdt_pointer:
	.word	gdt_end - gdt - 1
	.quad	gdt
idt_pointer:
	.word	idt_end - idt - 1
	.quad	idt
	.balign 16
task:
	.long	0
	.quad	kernel_stack
	.fill	104 - 12, 1, 0
task_end:
idt:
	.fill	(VECTOR + 1) * 2, 8, 0
idt_end:
	.balign 2 * CONTEXT
contexts:
	.quad	first_pml4, first_main, STACK, 0
	.quad	second_pml4, second_main, STACK, 0
running:
	.quad	0

	.macro	space name, code, stack
	.balign PAGE
\name\()_pml4:
	.quad	\name\()_pdp + TABLE
	.fill	511, 8, 0
\name\()_pdp:
	.quad	0, \name\()_pd + TABLE
	.fill	510, 8, 0
\name\()_pd:
	.quad	\name\()_pt + TABLE
	.fill	511, 8, 0
\name\()_pt:
	.quad	\code + MAPPED
	.set	page, \stack + STACK_PAGES * PAGE
	.rept	STACK_PAGES
	.set	page, page - PAGE
	.quad	page + MAPPED
	.endr
	.fill	511 - STACK_PAGES, 8, 0
	.endm

	space	first, FIRST_MEMORY, STACK_MEMORY
	space	second, SECOND_MEMORY, STACK_MEMORY+STACK_PAGES*PAGE

	.bss
	.balign 16
	.skip	256
kernel_stack:
