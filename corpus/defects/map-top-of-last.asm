; Takes the end of the last entry for the end of memory.

%define GUEST 'map-top-of-last'
%include "pvh.inc"
%include "defects/defect.inc"

main:
    checked_map
    lea eax, [ecx * 8]
    lea eax, [eax * 3]
    lea esi, [esi + eax - 24]
    mov edi, [esi]
    add edi, [esi + 8]
    cmp edi, 0x200000
    jb .small
..@defect:
    mov dword [edi - 4], 0x600d
.small:
    ret

refuse:
    fail 'refused'

BSS
ENDBSS
