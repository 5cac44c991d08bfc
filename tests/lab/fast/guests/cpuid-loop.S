/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A guest that measures what CPUID costs it, by its own clock: two hundred and eleven of them between two readings of the TSC, over and over; each
 * time it writes the cycles for one to the serial port, in decimal, on a line. To be run where time is the question: in a guest
 * of a guest.
 */
#include "guest.h"

#define ROUNDS	    211
#define SERIAL_PORT 0x3f8

	ring	0
	truth_flag "kernel"
	truth_flag "loop cpuid 211"

	function guest_main
1:	call	time_cpuid
	call	say_number
	jmp	1b
	end_function guest_main

	/* Cycles for one CPUID, in rax. */
	function time_cpuid
	enter
	push	%rbx
	rdtsc
	shl	$32, %rdx
	lea	(%rax, %rdx), %r12
	mov	$ROUNDS, %esi
1:	xor	%eax, %eax
	xor	%ecx, %ecx
	cpuid
	dec	%esi
	jnz	1b
	rdtsc
	shl	$32, %rdx
	add	%rdx, %rax
	sub	%r12, %rax
	xor	%edx, %edx
	mov	$ROUNDS, %ecx
	div	%rcx
	pop	%rbx
	leave_return
	end_function time_cpuid

	/* rax, and a newline. */
	function say_number
	enter
	push	$'\n'
	mov	$10, %ecx
1:	xor	%edx, %edx
	div	%rcx
	add	$'0', %edx
	push	%rdx
	test	%rax, %rax
	jnz	1b
	mov	$SERIAL_PORT, %edx
2:	pop	%rax
	out	%al, %dx
	cmp	$'\n', %al
	jne	2b
	leave_return
	end_function say_number
