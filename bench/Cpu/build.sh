#!/bin/sh
# Rebuilds the checked-in images from source: programs.bin (the programs) and qemu-boot.bin (what starts them on a bare machine).
set -eu
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
flags="-std=c11 -O2 -march=x86-64 -ffreestanding -fno-stack-protector -fcf-protection=none -fno-asynchronous-unwind-tables
    -fno-tree-loop-distribute-patterns -fno-math-errno -fpie -fvisibility=hidden -Wall -Wextra -Werror"
for source in integer floating calls; do
    # shellcheck disable=SC2086 # the flags are words
    gcc $flags -c "$source.c" -o "$work/$source.o"
done
gcc -c header.S -o "$work/header.o"
ld -static -pie --no-dynamic-linker -z noexecstack -z norelro --no-warn-rwx-segments -T programs.ld -o "$work/programs.elf" \
    "$work/header.o" "$work/integer.o" "$work/floating.o" "$work/calls.o"
objcopy -O binary --only-section=.image "$work/programs.elf" programs.bin
gcc -c qemu-boot.S -o "$work/qemu-boot.o"
ld -static -T qemu-boot.ld -o "$work/qemu-boot.elf" "$work/qemu-boot.o"
objcopy -O binary "$work/qemu-boot.elf" qemu-boot.bin
{
    echo "Checked-in images, built by build.sh with:"
    gcc --version | head -n 1
    ld --version | head -n 1
    sha256sum programs.bin qemu-boot.bin
} > images.txt
