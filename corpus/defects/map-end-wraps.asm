; Adds address and length in 32 bits and takes the sum for a range that fits.

%define GUEST 'map-end-wraps'
%include "pvh.inc"
%include "defects/defect.inc"

main:
    checked_map
.next:
    cmp dword [esi + 16], 1
    jne .advance
    cmp dword [esi], 0x100000
    jb .advance
    cmp dword [esi + 4], 0
    jne .advance
    mov eax, [esi]
    add eax, [esi + 8]              ; the carry is lost
    cmp eax, 0x1000000              ; the end of the machine's memory
    ja .advance
    mov eax, [esi + 8]
    shr eax, 1
    and eax, ~3
    add eax, [esi]
..@defect:
    cmp byte [eax], 0
.advance:
    add esi, 24
    dec ecx
    jnz .next
    ret

refuse:
    fail 'refused'

BSS
ENDBSS
