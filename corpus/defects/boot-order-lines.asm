; Keeps four characters of each line of bootorder in a table of sixteen, behind which a pointer to code lies.

%define GUEST 'boot-order-lines'
%include "pvh.inc"
%include "fwcfg.inc"
%include "defects/defect.inc"

ROOM equ 4096

main:
    mov dword [handler], finish
    find_file 'boot', 'orde'
    select_file ROOM
    jecxz finish
    mov edi, text
    call fw_cfg_read
    mov esi, text
    mov edi, lines
.line:
    mov eax, [esi]
    mov [edi], eax                  ; as many as there are
    add edi, 4
.byte:
    lodsb
    cmp al, 10
    je .more
    loop .byte
    jmp .done
.more:
    loop .line
.done:
..@defect:
    call [handler]
finish:
    ret

refuse:
    fail 'refused'

BSS
entry_of_file:
    resb 64
lines:
    resd 16
handler:
    resd 1
    resd 1024
text:
    resb ROOM
ENDBSS
