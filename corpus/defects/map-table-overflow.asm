; Copies the memory map to a table of eight entries, behind which a pointer to code lies.

%define GUEST 'map-table-overflow'
%include "pvh.inc"
%include "defects/defect.inc"

main:
    checked_map
    mov dword [handler], finish
    mov edi, table
.copy:
    push ecx
    mov ecx, 6
    rep movsd
    pop ecx
    loop .copy
..@defect:
    call [handler]
    ret

finish:
    ret

refuse:
    fail 'refused'

BSS
table:
    resb 8 * 24
handler:
    resd 1
ENDBSS
