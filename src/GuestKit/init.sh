#!/bin/sh
# First process of the FtAkka guest initramfs. Built into the archive by `ftakka guest fetch`.
#
# Kernel command line:
#   ftakka.run="COMMAND"        run COMMAND with sh -c, print its status, power off
#   ftakka.run64=BASE64         the same, for commands that hold quotes or dollar signs
#   ftakka.ip=ADDRESS/PREFIX    static address of eth0          ftakka.gw=ADDRESS   default route
#   ftakka.dns=ADDRESS          name server                     ftakka.dhcp         ask a DHCP server instead
#   ftakka.root=DEVICE          mount DEVICE and hand over to its /sbin/init (ftakka.rootfstype=, default ext4)
#   ftakka.keep                 after COMMAND, a shell instead of the power-off
# Without ftakka.run and ftakka.root: a shell on the console, and power-off when it ends.
#
# Lines that other programs wait for: FTAKKA-USERLAND, FTAKKA-RUN, FTAKKA-EXIT <status>. The boot benchmark times the first,
# so nothing may run before it.
echo FTAKKA-USERLAND
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root TERM=linux

mount -t proc proc /proc
mount -t sysfs sysfs /sys
# The stock kernel does not mount devtmpfs for an initramfs; until now there was /dev/console only.
mount -t devtmpfs devtmpfs /dev
mkdir -p /dev/pts /dev/shm
mount -t devpts devpts /dev/pts
mount -t tmpfs tmpfs /dev/shm
mount -t tmpfs tmpfs /tmp
mount -t tmpfs tmpfs /run

read -r cmdline < /proc/cmdline

# param NAME: sets $value from NAME=word or NAME="several words"; fails when the command line lacks it.
param() {
    rest=" $cmdline "
    case "$rest" in
        *" $1=\""*) rest=${rest#*" $1=\""}; value=${rest%%\"*} ;;
        *" $1="*) rest=${rest#*" $1="}; value=${rest%% *} ;;
        *) value=; return 1 ;;
    esac
}

flag() {
    case " $cmdline " in *" $1 "*) return 0 ;; esac
    return 1
}

# One modprobe for all: each process costs a fork and an exec at boot.
modules=virtio_mmio
for device in /sys/bus/pci/devices/*; do
    [ -e "$device" ] && modules="$modules virtio_pci"
    break
done
[ -f /etc/ftakka-modules ] && read -r more < /etc/ftakka-modules
modprobe -ba $modules $more

hostname ftakka
ip link set lo up
if [ -e /sys/class/net/eth0 ]; then
    if param ftakka.ip; then
        ip address add "$value" dev eth0
        ip link set eth0 up
        param ftakka.gw && ip route add default via "$value"
        param ftakka.dns && echo "nameserver $value" > /etc/resolv.conf
    elif flag ftakka.dhcp; then
        ip link set eth0 up
        udhcpc -i eth0 -n -q -f
    fi
fi

if param ftakka.root; then
    root=$value
    param ftakka.rootfstype || value=ext4
    mkdir -p /newroot
    if mount -t "$value" "$root" /newroot; then
        mount -o move /proc /newroot/proc
        mount -o move /sys /newroot/sys
        mount -o move /dev /newroot/dev
        exec switch_root /newroot /sbin/init
    fi
    echo "ftakka: cannot mount $root as $value"
fi

run=
if param ftakka.run64; then
    run=$(echo "$value" | base64 -d)
elif param ftakka.run; then
    run=$value
fi

if [ -n "$run" ]; then
    echo FTAKKA-RUN
    sh -c "$run"
    echo "FTAKKA-EXIT $?"
fi
if [ -z "$run" ] || flag ftakka.keep; then
    # cttyhack gives the shell the console as its controlling terminal, so that Ctrl-C and job control work.
    setsid cttyhack sh -l
fi
sync
poweroff -f
