#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Another kernel than this machine's release has, as the node's and as the guest's: every BPF program of ours is loaded and used there, and
# what the guest does is told as it is told of older ones (processes.sh, truth.sh).
# usage: newer.sh VERSION SUITE
here=$(dirname "$(realpath "$0")")
version=$1 suite=$2
. "$here/node-lab.sh"

[ -e "$LAB/../node/callers" ] || skip "the guest's programs were not built: no static C library"
VPMU_LAB_OUT=$(mktemp -d "$image/newer.XXXXXX")
export VPMU_LAB_OUT version
trap 'rm -rf "$VPMU_LAB_OUT"' EXIT
"$here/run.sh" --judge "$here/judge-newer.sh" "$image" 400 "$here/in-node-newer.sh" "$image" "$VPMU" "$LAB"
