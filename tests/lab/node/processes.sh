#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Which of a guest's processes was sampled, and where in its program: a Debian guest in the emulated node (truth.sh), whose kernel
# was moved by KASLR, runs three processes of a known static program. Nothing is told to vpmu but, for the program's symbols,
# where its file is.
here=$(dirname "$(realpath "$0")")
. "$here/node-lab.sh"

program=$LAB/../node/three
[ -e "$program" ] || skip "the guest's program was not built: no static C library"
exec "$here/run.sh" "$image" 280 "$here/in-node-processes.sh" "$image" "$VPMU" "$program"
