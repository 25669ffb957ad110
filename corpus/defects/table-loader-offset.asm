; Runs the ACPI linker's script, and patches a pointer at whatever offset the command says.

%define GUEST 'table-loader-offset'
%include "pvh.inc"
%include "fwcfg.inc"
%include "defects/defect.inc"

main:
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
    cmp dword [entry_of_file + 8 + 4], 'tabl'
    je .found
    dec ebp
    jnz .file
    jmp refuse
.found:
    movzx eax, word [entry_of_file + 4]
    xchg al, ah
    call fw_cfg_select
    mov ebp, [entry_of_file]
    bswap ebp
    shr ebp, 7
    jz .done
.command:
    mov edi, command
    mov ecx, 128
    call fw_cfg_read
    cmp dword [command], 2          ; add pointer
    jne .next
    mov eax, [command + 116]
..@defect:
    add dword [tables + eax], tables
.next:
    dec ebp
    jnz .command
.done:
    ret

refuse:
    fail 'refused'

BSS
entry_of_file:
    resb 64
command:
    resb 128
tables:
    resb 0x20000
ENDBSS
