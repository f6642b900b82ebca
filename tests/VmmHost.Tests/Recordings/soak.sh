#!/bin/sh
# What the recorded guest of the soak does, in rounds, for so many seconds: stress-ng by class, fio with verification on ext4 on the disk, iperf3 both ways
# with the guest at the other end of the cable. A line for each step. The test replaces @LOAD@ (seconds in all), @STEP@ (seconds of a step, about) and @PEER@.
now() { cut -d. -f1 /proc/uptime; }
end=$(($(now) + @LOAD@))

mkfs.ext4 -q /dev/vda
mount -t ext4 /dev/vda /mnt
until ping -c 1 -W 1 @PEER@ > /dev/null; do sleep 1; done

report() {
    echo "SOAK round $round at $(now): $1 status $2 $3"
    [ $2 = 0 ] || cat /tmp/log
}

# uprobe needs a tracing file system, swap a disk to swap to.
stress() {
    timeout -s INT $((@STEP@ * 6)) stress-ng --sequential 1 --class $1 --exclude uprobe,swap -t 1s --verify --oomable > /tmp/log 2>&1
    report "stress-ng $1" $?
}

# Several stressors at once.
mixed() {
    stress-ng --cpu 2 --vm 1 --vm-bytes 64m --pipe 1 --switch 1 --timer 1 --futex 1 -t @STEP@s --verify --oomable > /tmp/log 2>&1
    report "stress-ng mixed" $?
}

# Another seed in each round. The rate bounds what direct reads bring into the log.
verify() {
    name=$1
    shift
    fio --name=$name --directory=/mnt --size=$((@STEP@ * 3))m --rw=randrw --verify=crc32c --verify_fatal=1 --do_verify=1 --rate=8m --randseed=$round \
        --minimal "$@" > /tmp/log 2>&1
    report "fio $name" $?
    rm -f /mnt/$name*
}

link() {
    iperf3 -c @PEER@ -t $((@STEP@ / 3 + 1)) $2 > /tmp/log 2>&1
    report "iperf3 $1" $? "$(grep receiver /tmp/log | tr -s ' ' | cut -d' ' -f7,8)"
}

round=0
while [ $(now) -lt $end ]; do
    round=$((round + 1))
    for step in "verify direct --bsrange=512-64k --blockalign=512 --ioengine=libaio --iodepth=32 --direct=1" "link out" "stress cpu" "link back -R" "stress vm" \
        "verify buffered --bs=4k --ioengine=psync --fsync=32" "stress interrupt" "stress cpu-cache" "stress pipe" mixed; do
        [ $(now) -lt $end ] || break
        $step
    done
done
umount /mnt
e2fsck -f -n /dev/vda > /tmp/log 2>&1
report e2fsck $?
# Not every stack trace is a fault: the out-of-memory killer prints one as well.
dmesg | grep -E 'Oops|kernel BUG|clocksource.*unstable'
echo "SOAK end at $(now)"
