; Steps through the Multiboot memory map by the size that each entry says it has.

%define GUEST 'multiboot-map-size'
%include "multiboot.inc"
%include "defects/defect.inc"

main:
    mov ebx, [start_info]
    test dword [ebx], 0x40
    jz refuse
    mov esi, [ebx + 48]
    mov edi, esi
    cmp dword [ebx + 44], 4096
    ja refuse
    add edi, [ebx + 44]
    cmp edi, 0x1000000
    ja refuse
.next:
    cmp esi, edi
    je .done
..@defect:
    mov eax, [esi]
    lea esi, [esi + eax + 4]        ; need not come to the end exactly
    jmp .next
.done:
    ret

refuse:
    fail 'refused'

BSS
    resb 64
ENDBSS
