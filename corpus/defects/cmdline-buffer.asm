; Copies the command line to a buffer of 256 bytes up to its zero, behind which a pointer to code lies.

%define GUEST 'cmdline-buffer'
%include "pvh.inc"
%include "defects/defect.inc"

main:
    mov dword [handler], finish
    mov ebx, [start_info]
    mov esi, [ebx + 24]
    mov edi, buffer
.next:
    lodsb
    stosb
    cmp edi, buffer + 2048
    jae .stop
    test al, al
    jnz .next
.stop:
..@defect:
    call [handler]
finish:
    ret

BSS
buffer:
    resb 256
handler:
    resd 1
    resb 2048
ENDBSS
