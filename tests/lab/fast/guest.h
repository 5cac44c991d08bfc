/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a guest of the fast lab is written in. A guest is one function, guest_main, which runs on
 * every vCPU (its index in %edi) and never returns, and the functions that it calls. Those are
 * made with the macros below, and a macro that makes a loop also writes down, in the section
 * .truth of the same ELF file, how much it does in one round. So the known profile cannot drift
 * from the code. The build takes it out into GUEST.truth:
 *
 *	work VCPU SYMBOL ITERATIONS CALLS	each round, the vCPU spends ITERATIONS x CALLS
 *						units in SYMBOL itself
 *	idle VCPU				the vCPU is halted nearly all the time
 *	kernel					the guest runs in ring 0
 *	exits SYMBOL				each round leaves the guest in SYMBOL: guests/exits.S
 *	chain SHARE REGEX			call chains there can be, as names with a blank behind each,
 *						innermost first, and their share of all samples in
 *						percent, or "-"; "<cut>" where a chain is cut
 *
 * One unit is one turn of the loop in spin: its cost is the latency of two dependent
 * multiplications (6 cycles on every x86 since 2008), not the fetching of its instructions, so it
 * does not matter where the loop lies in a cache line. Everything keeps frame pointers.
 *
 * A round takes some 25 ms. Sampling is periodic, too: if a round were about as long as the time
 * between two samples, they could walk in step, and the same functions would be hit again and again.
 * With a hundred samples in a round, each function's share is right to a hundredth even then.
 */

	/* SECTION: another one than the rest, for code that runs elsewhere: far.h. */
	.macro function name, section=.text
	.section \section, "ax"
	.balign 64
	.globl	\name
	.type	\name, @function
\name:
	.endm

	.macro end_function name
	.size	\name, . - \name
	.endm

	.macro enter
	push	%rbp
	mov	%rsp, %rbp
	.endm

	.macro leave_return
	pop	%rbp
	ret
	.endm

	/* So many units of work. Clobbers eax, ecx and flags. */
	.macro spin iterations
	mov	$\iterations, %ecx
	.balign 64
9:	imul	%eax, %eax
	imul	%eax, %eax
	dec	%ecx
	jnz	9b
	.endm

	/* Says, without making code, what vCPU VCPU spends in NAME each round. */
	.macro truth vcpu, name, iterations, calls
	.pushsection .truth, "", @progbits
	.ascii	"work \vcpu \name \iterations \calls\n"
	.popsection
	.endm

	.macro truth_flag text
	.pushsection .truth, "", @progbits
	.ascii	"\text\n"
	.popsection
	.endm

	/* A function that works and calls nothing. CALLS: how often it is called in each round. */
	.macro work name, iterations, calls=1, vcpu=0, section=.text
	function \name, \section
	enter
	spin	\iterations
	leave_return
	end_function \name
	truth	\vcpu, \name, \iterations, \calls
	.endm

	/* A function that does nothing but call another one. */
	.macro wrap name, callee, section=.text
	function \name, \section
	enter
	call	\callee
	leave_return
	end_function \name
	.endm

	/* boot.S asks for it: the privilege in which guest_main runs, 0 or 3. */
	.macro ring number
	.globl	guest_ring
	.set	guest_ring, \number
	.endm

	.section .note.GNU-stack, "", @progbits
	.text
