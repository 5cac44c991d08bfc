#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Prints a C program that spends its time evenly over 20 thousand source lines, for as many seconds as its argument says.

A profile of a large program meets many addresses, few of them twice; a loop of two lines would only show how well answers
are remembered.
"""
FUNCTIONS, LINES = 400, 50

print("#include <stdlib.h>\n#include <time.h>\nstatic volatile unsigned long sink;")
for function in range(FUNCTIONS):
    print(f"static void f{function}(unsigned long x)\n{{")
    for line in range(LINES):
        print(f"\tx = x * 31 + {function * LINES + line};")
    print("\tsink = x;\n}")
print("int main(int argc, char **argv)\n{")
print("\tclock_t end = clock() + (argc > 1 ? atoi(argv[1]) : 1) * CLOCKS_PER_SEC;")
print("\twhile (clock() < end)\n\t\tfor (int round = 0; round < 100; round++) {")
for function in range(FUNCTIONS):
    print(f"\t\t\tf{function}(sink);")
print("\t\t}\n\treturn 0;\n}")
