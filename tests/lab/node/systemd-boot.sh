#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# First process of the node: makes a script systemd's only task besides what every boot starts, and becomes systemd.
# usage: systemd-boot.sh SCRIPT [ARG…]
units=/run/systemd/system
mkdir -p $units
# What this machine has for its own boot, and what waits for hardware that the node has not.
for unit in systemd-udevd.service systemd-udevd-{control,kernel}.socket systemd-udev-trigger.service \
	systemd-networkd.service systemd-resolved.service systemd-timesyncd.service systemd-pstore.service \
	systemd-tmpfiles-setup.service systemd-tmpfiles-setup-dev.service systemd-random-seed.service systemd-remount-fs.service systemd-binfmt.service systemd-modules-load.service \
	timers.target dev-hugepages.mount getty.target console-getty.service; do
	ln -s /dev/null $units/$unit
done
# Mount points in the file system table are the machine's.
: > /etc/fstab
# It may be a container itself; the node is none.
rm -f /.dockerenv

cat > $units/lab.target <<END
[Unit]
Description=The lab's script
Requires=basic.target lab.service
After=basic.target
END
cat > $units/lab.service <<END
[Unit]
After=basic.target
SuccessAction=poweroff-immediate
FailureAction=poweroff-immediate
[Service]
Type=oneshot
Environment=PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root
ExecStart=/bin/bash -c '"\$\$@" 2>&1 | cat; echo "NODE-EXIT \$\${PIPESTATUS[0]}"' lab $*
StandardInput=null
StandardOutput=file:/dev/console
StandardError=file:/dev/console
END
exec /lib/systemd/systemd --unit=lab.target --show-status=no --log-level=warning
