/* The PVH entry (Xen's docs/misc/pvh.pandoc): 32-bit protected mode, paging off, EBX points to hvm_start_info. The note
   tells the loader where it is. */

    .section .note.pvh, "a", @note
    .long 4, 4, 18              /* name, descriptor, XEN_ELFNOTE_PHYS32_ENTRY */
    .asciz "Xen"
    .long start

    .section .text.start, "ax"
    .code32
    .globl start
start:
    mov $stack_top, %esp
    push %ebx
    call kernel_main
halt:
    cli
    hlt
    jmp halt

    .section .bss
    .balign 16
    .skip 4096
stack_top:

    .section .note.GNU-stack, "", @progbits
