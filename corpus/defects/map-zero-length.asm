; Divides by the length of an entry.

%define GUEST 'map-zero-length'
%include "pvh.inc"
%include "defects/defect.inc"

main:
    checked_map
.next:
    xor edx, edx
    mov eax, 0x40000000
    mov edi, [esi + 8]
    or edi, [esi + 12]
..@defect:
    div edi
    add esi, 24
    dec ecx
    jnz .next
    ret

refuse:
    fail 'refused'

BSS
ENDBSS
