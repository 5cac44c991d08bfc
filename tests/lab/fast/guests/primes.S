/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A guest that leaves itself a known number of times, each for a known reason. It waits, without leaving, until the VMM counts
 * up the word "go" at the end of RAM (vmm, at SIGUSR1); does its round; says so on the serial port; and waits again. Numbers are
 * primes, so that no two kinds of exits, and no double counting, add up to the number of another.
 */
#include "guest.h"

#define GO_WORD	    0xfffffc
#define SERIAL_PORT 0x3f8
#define APIC_BASE   0x1b
#define PAT	    0x277
#define PERFEVTSEL0 0x186
#define PERFCTR0    0xc1

	ring	0
	truth_flag "kernel"
	truth_flag "events cpuid 10007"
	truth_flag "events port 0x80 write 5003"
	truth_flag "events port 0x3f8 write 1"
	truth_flag "events msr 0x1b read 3001"
	truth_flag "events msr 0x277 write 1009"
	truth_flag "events msr 0x186 write 401"
	truth_flag "events msr 0xc1 read 307"
	truth_flag "events hlt 101"

	function guest_main
	xor	%r12d, %r12d
1:	call	wait_for_go
	call	ask_cpuid
	call	ring_port
	call	read_msr
	call	write_msr
	call	use_pmu
	call	halt
	call	say_done
	jmp	1b
	end_function guest_main

	function wait_for_go
	enter
1:	pause
	cmp	%r12d, GO_WORD
	je	1b
	inc	%r12d
	leave_return
	end_function wait_for_go

	function ask_cpuid
	enter
	push	%rbx
	mov	$10007, %esi
1:	mov	$0x40000000, %eax
	xor	%ecx, %ecx
	cpuid
	dec	%esi
	jnz	1b
	pop	%rbx
	leave_return
	end_function ask_cpuid

	function ring_port
	enter
	mov	$5003, %esi
1:	out	%al, $0x80
	dec	%esi
	jnz	1b
	leave_return
	end_function ring_port

	function read_msr
	enter
	mov	$3001, %esi
1:	mov	$APIC_BASE, %ecx
	rdmsr
	dec	%esi
	jnz	1b
	leave_return
	end_function read_msr

	function write_msr
	enter
	mov	$1009, %esi
	mov	$PAT, %ecx
	mov	$0x00070406, %eax
	mov	%eax, %edx
1:	wrmsr
	dec	%esi
	jnz	1b
	leave_return
	end_function write_msr

	/* KVM lets these be, whether or not there is a PMU behind them. */
	function use_pmu
	enter
	mov	$401, %esi
1:	mov	$PERFEVTSEL0, %ecx
	xor	%eax, %eax
	xor	%edx, %edx
	wrmsr
	dec	%esi
	jnz	1b
	mov	$307, %esi
2:	mov	$PERFCTR0, %ecx
	rdmsr
	dec	%esi
	jnz	2b
	leave_return
	end_function use_pmu

	function halt
	enter
	mov	$101, %esi
1:	hlt
	dec	%esi
	jnz	1b
	leave_return
	end_function halt

	function say_done
	enter
	mov	$SERIAL_PORT, %edx
	mov	$'D', %al
	out	%al, %dx
	leave_return
	end_function say_done
