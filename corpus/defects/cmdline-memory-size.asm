; Believes mem= on the command line, and puts its stack there.

%define GUEST 'cmdline-memory-size'
%include "pvh.inc"
%include "defects/defect.inc"

main:
    mov ebx, [start_info]
    mov esi, [ebx + 24]
.find:
    mov eax, [esi]
    test al, al
    jz .none
    inc esi
    cmp eax, 'mem='
    jne .find
    add esi, 3
    xor edx, edx
.digit:
    movzx eax, byte [esi]
    sub eax, '0'
    cmp eax, 9
    ja .unit
    imul edx, edx, 10               ; overflows
    add edx, eax
    inc esi
    jmp .digit
.unit:
    cmp byte [esi], 'M'
    jne .giga
    shl edx, 20
    jmp .use
.giga:
    cmp byte [esi], 'G'
    jne .none
    shl edx, 30
.use:
    cmp edx, 0x100000
    jb .none
..@defect:
    mov dword [edx - 4], 0x600d
.none:
    ret

BSS
ENDBSS
