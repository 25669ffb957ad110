; Walks the module list to its count from 1 on, past a list that is empty.

%define GUEST 'module-walk-past-end'
%include "pvh.inc"
%include "defects/defect.inc"

main:
    mov ebx, [start_info]
    mov ecx, [ebx + 12]
    cmp ecx, MOST
    ja refuse
    mov esi, [ebx + 16]
    cmp esi, LOW_END
    ja refuse
    xor edx, edx
.next:
    mov edi, [esi]
..@defect:
    add dl, [edi]
    add esi, 32
    dec ecx                         ; 0 becomes 4294967295
    jnz .next
    ret

refuse:
    fail 'refused'

BSS
ENDBSS
