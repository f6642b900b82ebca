# Table at the start of the image: magic, number of programs, then per program its distance from this very field and its name in 12 bytes.
    .section .header, "a"
    .ascii "FTCB"
    .long (table_end - table) / 16
table:
    .macro program name
    .hidden \name
    .long \name - .
1:  .ascii "\name"
    .zero 12 - (. - 1b)
    .endm
    program sieve
    program crc32
    program sha256
    program qsort
    program interp
    program strmem
    program matmul
    program nbody
    program fib
    program chase
    program list
    program virt
table_end:
    .section .note.GNU-stack, "", @progbits
