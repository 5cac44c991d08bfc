#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Which of a guest's processes was sampled, and where in its program: a Debian guest in the emulated node (truth.sh), whose kernel
# was moved by KASLR, runs three processes of a known static program, and one that spends its time in the kernel. Nothing is
# told to vpmu but, for the programs' symbols, where their files are, and then, on this machine, which debuginfod to ask: the build-id is
# out of the guest's memory. Perf runs in the guest, too: its call chains and ours are of the same load at the same time.
here=$(dirname "$(realpath "$0")")
. "$here/node-lab.sh"

program=$LAB/../node/three
runner=$LAB/../node/runner
[ -e "$program" ] && [ -e "${program%three}callers" ] && [ -e "${program%three}lean" ] || skip "the guest's programs were not built: no static C library"
VPMU_LAB_OUT=$(mktemp -d "$image/processes.XXXXXX")
export VPMU_LAB_OUT
trap 'rm -rf "$VPMU_LAB_OUT"' EXIT
cd "$VPMU_LAB_OUT" || exit 1

# The programs, Debian's own perf, and an init that starts them, go behind what is in the guest's file system already.
perf=$(command -v perf)
mkdir -p root/opt
cp "$program" "${program%three}callers" "${program%three}lean" "$runner" "$perf" root/opt/
for file in $(ldd "$runner" "$perf" | sed -n 's|.*[[:space:]]\(/[^ ]*\) (.*|\1|p' | sort -u); do
	mkdir -p "root$(dirname "$file")"
	cp -L "$file" "root$file"
done
cp "$here/processes-init" root/init
(cd root && find . | cpio -o -H newc --quiet) | cat "$image/guest.cpio" - > guest.cpio
"$here/run.sh" --judge "$here/judge-processes.sh" "$image" 400 "$here/in-node-processes.sh" "$image" "$VPMU" "$LAB/counts"
