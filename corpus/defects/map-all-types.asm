; Sums up memory whatever the type of an entry is.

%define GUEST 'map-all-types'
%include "pvh.inc"
%include "defects/defect.inc"

main:
    checked_map
.next:
    cmp dword [esi + 4], 0
    jne .advance
    cmp dword [esi], 0x200000
    jb .advance
    cmp dword [esi], 0x1000000
    jae .advance
    cmp dword [esi + 8], 0
    je .advance
    mov edi, [esi]
..@defect:
    mov eax, [edi]
.advance:
    add esi, 24
    dec ecx
    jnz .next
    ret

refuse:
    fail 'refused'

BSS
ENDBSS
