; Reads etc/e820 to a buffer of 128 bytes, with the size that the directory says; a pointer to code lies behind.

%define GUEST 'fwcfg-size-trusted'
%include "pvh.inc"
%include "fwcfg.inc"
%include "defects/defect.inc"

main:
    mov dword [handler], finish
    mov ax, FW_CFG_FILE_DIR
    call fw_cfg_select
    call fw_cfg_be32
    mov ebp, eax
    cmp ebp, MOST
    ja refuse
.file:
    mov edi, entry_of_file
    mov ecx, 64
    call fw_cfg_read
    cmp dword [entry_of_file + 8], 'etc/'
    jne .other
    cmp dword [entry_of_file + 12], 'e820'
    je .found
.other:
    dec ebp
    jnz .file
    jmp refuse
.found:
    movzx eax, word [entry_of_file + 4]
    xchg al, ah
    call fw_cfg_select
    mov ecx, [entry_of_file]
    bswap ecx
    cmp ecx, 4096
    ja refuse
    mov edi, buffer
    call fw_cfg_read
..@defect:
    call [handler]
finish:
    ret

refuse:
    fail 'refused'

BSS
entry_of_file:
    resb 64
buffer:
    resb 128
handler:
    resd 1
    resb 4096
ENDBSS
