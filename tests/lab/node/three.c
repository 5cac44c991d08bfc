/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Three processes of one program in a guest, each with a name and a function of its own, and a call tree that is known. They
 * tell who they are on standard output, one line each: "THREE name pid", then run for ever.
 */
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static volatile unsigned long turns;

#define SPINNER(name)                                                                              \
	static __attribute__((noinline)) void name##_inner(void)                                  \
	{                                                                                          \
		for (int i = 0; i < 100000; i++)                                                   \
			turns++;                                                                   \
	}                                                                                          \
	static __attribute__((noinline)) void name##_outer(void)                                  \
	{                                                                                          \
		for (;;) {                                                                         \
			name##_inner();                                                            \
			turns++;                                                                   \
		}                                                                                  \
	}

SPINNER(alpha)
SPINNER(beta)
SPINNER(gamma)

static void start(const char *name, void (*spin)(void))
{
	if (fork())
		return;
	prctl(PR_SET_NAME, name);
	printf("THREE %s %d\n", name, getpid());
	fflush(stdout);
	spin();
}

int main(void)
{
	start("alpha", alpha_outer);
	start("beta", beta_outer);
	start("gamma", gamma_outer);
	while (wait(NULL) > 0)
		;
	return 1;
}
