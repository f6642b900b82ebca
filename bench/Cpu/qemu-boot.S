# Starts the programs on a bare machine under QEMU: a Multiboot 1 image (flat, "a.out kludge") that builds 4 KiB page tables for the first
# 128 MiB, enters long mode with SSE on, calls every program in the table that follows it in memory, and reports on the debug console:
#   name checksum-in-16-hex-digits newline
# after "ready 0", which says that the machine has started. Then it powers off through isa-debug-exit. Ring 0; no interrupts.
    .set load_address, 0x100000
    .set programs, load_address + 0x1000
    .set page_tables, 0x1000000         # PML4, PDPT, PD, then 64 page tables
    .set mapped_tables, 64
    .set stack_top, 0x1800000
    .set arena, 0x2000000
    .set debug_console, 0xE9
    .set debug_exit, 0xF4

    .text
    .code32
    .globl start
multiboot:
    .long 0x1BADB002                    # magic
    .long 0x00010000                    # flags: the address fields below are valid
    .long -(0x1BADB002 + 0x00010000)    # checksum
    .long load_address                  # header address
    .long load_address                  # load address
    .long 0                             # load end: the whole file
    .long 0                             # bss end: none
    .long start
start:
    mov $stack_top, %esp
    cld
    mov $page_tables, %edi              # clear PML4, PDPT, PD
    xor %eax, %eax
    mov $(3 * 1024), %ecx
    rep stosl
    movl $(page_tables + 0x1003), page_tables
    movl $(page_tables + 0x2003), page_tables + 0x1000
    mov $(page_tables + 0x3003), %eax
    xor %ecx, %ecx
1:  mov %eax, page_tables + 0x2000(, %ecx, 8)
    add $0x1000, %eax
    inc %ecx
    cmp $mapped_tables, %ecx
    jne 1b
    mov $3, %eax                        # present, writable, from address 0
    xor %ecx, %ecx
2:  mov %eax, page_tables + 0x3000(, %ecx, 8)
    movl $0, page_tables + 0x3004(, %ecx, 8)
    add $0x1000, %eax
    inc %ecx
    cmp $(mapped_tables * 512), %ecx
    jne 2b
    mov $page_tables, %eax
    mov %eax, %cr3
    mov $0x620, %eax                    # PAE, OSFXSR, OSXMMEXCPT
    mov %eax, %cr4
    mov $0xC0000080, %ecx               # EFER
    rdmsr
    or $0x100, %eax                     # LME
    wrmsr
    mov %cr0, %eax
    and $~4, %eax                       # EM off
    or $0x80000002, %eax                # PG, MP
    mov %eax, %cr0
    lgdt gdt_pointer
    ljmp $8, $long_mode

    .code64
long_mode:
    mov $16, %eax
    mov %eax, %ds
    mov %eax, %es
    mov %eax, %ss
    mov $stack_top, %rsp
    mov $(programs + 8), %rbx           # table entry
    mov programs + 4, %r12d             # programs left
    mov $ready, %esi
1:  lodsb
    test %al, %al
    jz next_program
    out %al, $debug_console
    jmp 1b
next_program:
    movslq (%rbx), %rax                 # distance from the field
    add %rbx, %rax
    mov $arena, %edi
    call *%rax
    mov %rax, %r13
    mov $12, %ecx                       # name
    lea 4(%rbx), %rsi
3:  lodsb
    test %al, %al
    jz 4f
    out %al, $debug_console
    loop 3b
4:  mov $' ', %al
    out %al, $debug_console
    mov $16, %ecx                       # checksum
5:  rol $4, %r13
    mov %r13d, %eax
    and $15, %eax
    mov digits(%rax), %al
    out %al, $debug_console
    loop 5b
    mov $'\n', %al
    out %al, $debug_console
    add $16, %rbx
    dec %r12d
    jnz next_program
    mov $200000000, %ecx                # let the host read the CPU time before QEMU is gone
7:  dec %ecx
    jnz 7b
    mov $0, %al                         # isa-debug-exit: QEMU ends with status (0 << 1) | 1
    out %al, $debug_exit
6:  hlt
    jmp 6b

ready:
    .asciz "ready 0\n"
digits:
    .ascii "0123456789abcdef"
    .balign 8
gdt:
    .quad 0
    .quad 0x00209A0000000000            # 64-bit code
    .quad 0x0000920000000000            # data
gdt_pointer:
    .word gdt_pointer - gdt - 1
    .long gdt
    .org 0x1000                         # the programs follow here
    .section .note.GNU-stack, "", @progbits
