#!/bin/sh
# Called by busybox udhcpc with the lease in the environment; see the busybox documentation of udhcpc.
case "$1" in
    deconfig)
        ip address flush dev "$interface"
        ip link set "$interface" up
        ;;
    bound | renew)
        ip address flush dev "$interface"
        ip address add "$ip/${mask:-24}" dev "$interface"
        for gateway in $router; do
            ip route add default via "$gateway" dev "$interface"
            break
        done
        : > /etc/resolv.conf
        for server in $dns; do
            echo "nameserver $server" >> /etc/resolv.conf
        done
        ;;
esac
