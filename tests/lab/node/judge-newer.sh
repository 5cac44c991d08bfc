#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Judges what newer.sh recorded, in its directory, on this machine. $version is that of the node's kernel.
here=$(dirname "$(realpath "$0")")
fail() { echo "FAILED: $*"; exit 1; }
! grep -h 'libbpf' {record,kallsyms,exits,time}.log || fail "the kernel refuses a program"
! grep 'no guest call chains' record.log || fail "the kernel refuses call chains"
for ability in 'BPF programs on events' 'BPF iterators'; do
	grep "^ok .*$ability" doctor || fail "vpmu doctor says: $(cat doctor)"
done
grep -q "^newer .* $version\." list || fail "vpmu list does not know the guest's kernel: $(cat list)"
grep "page tables" kallsyms.log || fail "KVM did not say where the guest's memory is: $(cat kallsyms.log)"
[ "$(cut -c1-32 kallsyms.md5)" = "$(sed -n 's/^KALLSYMS \([0-9a-f]*\).*/\1/p' console)" ] ||
	fail "the guest's symbols are not those that it has"
[ "$(grep -c 'no guest call chains.*BTF' refused.log)" = 1 ] || fail "not one line says that, and why, there are no chains: $(cat refused.log)"
"$VPMU" report -i refused.data --json > refused.json && python3 -c 'import json
coverage = json.load(open("refused.json"))["coverage"]
assert coverage["guest"] > 50 and coverage["guest_chains"] == 0, coverage' || fail "a kernel that refuses gets no samples"

"$VPMU" script -i newer.data --guest-root root --json > newer.json || exit
"$here/check-processes.py" newer.json console || exit
"$here/check-chains.py" newer.json || exit
"$here/check-newer.py" exits.json time.json || exit

command -v chromium > /dev/null && command -v chromedriver > /dev/null || { echo "there is no chromium: the flame graph is not looked at"; exit 0; }
"$VPMU" export -i newer.data --guest-root root -f flamegraph -o graph.html &&
	"$VPMU" report -i newer.data --guest-root root --sort side,process,symbol -g --json > graph.json &&
	"$here/../../browser/linux-guest.py" graph.html graph.json
