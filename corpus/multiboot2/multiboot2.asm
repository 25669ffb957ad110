; The tags of a Multiboot2 header, beside what `multiboot` prints: an entry of its own, requests for information, page
; alignment of modules, and optional tags that no loader knows, or that say nothing on a BIOS.

%define GUEST 'multiboot2'

%macro MORE_TAGS 0
    dw 1, 0                         ; information that must be understood
    dd 8 + 4 * 5
    dd 1, 3, 4, 6, 14
align 8
    dw 1, 1                         ; and that need not be
    dd 8 + 4
    dd 0x4321
align 8
    dw 3, 0                         ; entry address
    dd 12
    dd tag_entry
align 8
    dw 6, 0                         ; modules on pages
    dd 8
    dw 7, 1                         ; EFI boot services
    dd 8
    dw 0x1234, 1                    ; unknown and optional
    dd 8
%endmacro

%include "multiboot.inc"

tag_entry:
    mov byte [by_tag], 1
    jmp multiboot_entry

main:
    cmp byte [by_tag], 1
    je .entered
    fail 'entered by the ELF header, not by the tag'
.entered:
    call print_entry
    mov ebx, [start_info]
    cmp dword [magic], 0x36d76289
    je print_multiboot2
    fail 'no multiboot2 magic'

by_tag:
    db 0

BSS
    resb 64
ENDBSS
