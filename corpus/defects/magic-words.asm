; Looks for `debugger=` in the command line, with REPE CMPSB, and when there is one, letter by letter for `on` behind it:
; then it calls what no table has an entry for. Whoever draws words does not come past the first one.

%define GUEST 'magic-words'
%include "pvh.inc"
%include "defects/defect.inc"

main:
    mov ebx, [start_info]
    mov esi, [ebx + 24]             ; cmdline_paddr
    test esi, esi
    jz .done
.word:
    push esi
    mov edi, option
    mov ecx, option_end - option
    repe cmpsb
    pop esi
    je .found
.skip:
    lodsb
    test al, al
    jz .done
    cmp al, ' '
    jne .skip
    jmp .word
.found:
    add esi, option_end - option
    cmp byte [esi], '='
    jne .skip
    mov edi, value
.letter:
    inc esi
    mov al, [esi]
    cmp al, [edi]
    jne .skip
    inc edi
    cmp edi, value_end
    jb .letter
..@defect:
    call [commands]
.done:
    ret

option:
    db 'debugger'
option_end:
value:
    db 'on'
value_end:

BSS
commands:
    resd 1
ENDBSS
