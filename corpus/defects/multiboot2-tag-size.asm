; Steps through Multiboot2 tags by their sizes, which may be 0.

%define GUEST 'multiboot2-tag-size'
%include "multiboot.inc"
%include "defects/defect.inc"

main:
    mov ebx, [start_info]
    lea esi, [ebx + 8]
.next:
..@defect:
    mov eax, [esi + 4]
    cmp dword [esi], 0
    je .done
    lea esi, [esi + eax + 7]
    and esi, ~7
    jmp .next
.done:
    ret

BSS
    resb 64
ENDBSS
