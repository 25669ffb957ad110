; Merges an entry with the one before it whatever its type, and uses the end of the merged range.

%define GUEST 'map-merge-type'
%include "pvh.inc"
%include "defects/defect.inc"

main:
    checked_map
    xor ebp, ebp                    ; end of the range so far
.next:
    test ebp, ebp
    jz .new
    cmp [esi], ebp
    jne .new
    cmp dword [esi + 12], 0
    jne .advance
    add ebp, [esi + 8]
    jmp .advance
.new:
    call use
    xor ebp, ebp
    unless_low_ram .advance
    mov ebp, eax
.advance:
    add esi, 24
    dec ecx
    jnz .next
use:
    cmp ebp, 0x200000
    jb .none
..@defect:
    mov byte [ebp - 1], 0x5a
.none:
    ret

refuse:
    fail 'refused'

BSS
ENDBSS
