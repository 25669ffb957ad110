; Has an extension for whoever knows two numbers, in the flags and in the reserved field of the start info, and there takes
; the number of entries for an index. No case that is drawn by chance comes so far.

%define GUEST 'magic-chain'
%include "pvh.inc"
%include "defects/defect.inc"

EXTENSION   equ 0x5ca1ab1e
STORE       equ 0xc0dec0de

main:
    mov ebx, [start_info]
    cmp dword [ebx], 0x336ec578
    jne refuse
    cmp dword [ebx + 8], EXTENSION
    jne .done
    cmp dword [ebx + 4], 1
    jne refuse
    cmp dword [ebx + 52], STORE
    jne refuse
    mov eax, [ebx + 48]
    cmp eax, 2
    jb refuse
    cmp eax, MOST
    ja refuse
..@defect:
    call [commands + eax * 4]
.done:
    ret

count:
    inc dword [calls]
    ret

refuse:
    fail 'refused'

align 4
commands:
    dd refuse, refuse, count, count, count

BSS
calls:
    resd 1
ENDBSS
