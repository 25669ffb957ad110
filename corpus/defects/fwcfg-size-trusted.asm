; Reads etc/e820 to a buffer of 128 bytes, with the size that the directory says; a pointer to code lies behind.

%define GUEST 'fwcfg-size-trusted'
%include "pvh.inc"
%include "fwcfg.inc"
%include "defects/defect.inc"

main:
    mov dword [handler], finish
    find_file 'etc/', 'e820'
    select_file 4096
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
