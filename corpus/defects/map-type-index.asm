; Jumps through a table by the type of an entry, which may be any number.

%define GUEST 'map-type-index'
%include "pvh.inc"
%include "defects/defect.inc"

main:
    checked_map
.next:
    mov eax, [esi + 16]
..@defect:
    call [handlers + eax * 4]
    add esi, 24
    dec ecx
    jnz .next
    ret

count:
    inc dword [kinds]
    ret

refuse:
    fail 'refused'

align 4
handlers:
    dd count, count, count, count, count, count

BSS
kinds:
    resd 1
ENDBSS
