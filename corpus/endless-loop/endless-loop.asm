; Never ends by itself: --max-cycles must end it, with exit status 3, at exactly the cycle asked for. The loop
; touches memory so that the final state tells how far it came.

%define GUEST 'endless-loop'
%include "pvh.inc"

main:
    line 'OK endless-loop'
    xor eax, eax
.loop:
    inc eax
    add [sum], eax
    adc dword [sum + 4], 0
    jmp .loop

BSS
sum: resq 1
ENDBSS
