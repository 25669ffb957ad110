; Walks as many memory map entries as the loader says there are.

%define GUEST 'map-count-trusted'
%include "pvh.inc"
%include "defects/defect.inc"

main:
    memory_map
    xor edx, edx
    jecxz .done
.next:
..@defect:
    mov eax, [esi + 8]
    add edx, eax
    add esi, 24
    dec ecx
    jnz .next
.done:
    ret

refuse:
    fail 'refused'

BSS
ENDBSS
