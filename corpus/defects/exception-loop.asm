; Divides by the length of an entry, with an exception handler that returns to the same instruction.

%define GUEST 'exception-loop'
%include "pvh.inc"
%include "idt.inc"
%include "defects/defect.inc"

main:
    call idt_init
    gate 0, handler
    checked_map
.next:
    xor edx, edx
    mov eax, 1
    mov edi, [esi + 8]
    or edi, [esi + 12]
..@defect:
    div edi
    add esi, 24
    dec ecx
    jnz .next
    ret

handler:
    iretd

refuse:
    fail 'refused'

BSS
idt:
    resb 256 * 8
ENDBSS
