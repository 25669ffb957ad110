; Sums up a module from its start to its end, which may lie before it.

%define GUEST 'multiboot-module-end'
%include "multiboot.inc"
%include "defects/defect.inc"

main:
    mov ebx, [start_info]
    test dword [ebx], 8
    jz refuse
    cmp dword [ebx + 20], 1
    jb refuse
    mov edi, [ebx + 24]
    cmp edi, 0x1000000 - 64
    ja refuse
    mov esi, [edi]
    mov edi, [edi + 4]
    cmp esi, 0x1000000
    ja refuse
    cmp edi, 0x1000000
    ja refuse
.next:
    cmp esi, edi
    je .done
..@defect:
    add al, [esi]
    inc esi
    jmp .next
.done:
    ret

refuse:
    fail 'refused'

BSS
    resb 64
ENDBSS
