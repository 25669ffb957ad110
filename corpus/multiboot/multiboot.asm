; Prints what a Multiboot loader hands over, whichever version of the protocol it speaks: processor state, memory,
; command line, modules, ELF sections, memory map, loader's name.

%define GUEST 'multiboot'
%include "multiboot.inc"

main:
    call print_entry
    mov ebx, [start_info]
    cmp dword [magic], 0x2badb002
    je print_multiboot
    cmp dword [magic], 0x36d76289
    je print_multiboot2
    fail 'no multiboot magic'

BSS
    resb 64
ENDBSS
