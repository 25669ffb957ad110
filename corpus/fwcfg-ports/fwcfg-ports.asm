; fw_cfg through its I/O ports: signature, feature bits, fixed items, the file directory, files found by name,
; byte reads and REP INSB, reads past an item's end, and a change of the selector in the middle of an item.

%define GUEST 'fwcfg-ports'
%include "pvh.inc"
%include "fwcfg.inc"

main:
    mov ax, FW_CFG_SIGNATURE
    call fw_cfg_select
    mov edi, buffer
    mov ecx, 4
    call fw_cfg_read
    say 'signature '
    mov esi, buffer
    call put_chars
    say 10
    cmp dword [buffer], 'QEMU'
    je .present
    fail 'no fw_cfg'
.present:

    mov ax, FW_CFG_ID
    call fw_cfg_select
    mov ecx, 4
    call fw_cfg_read
    say 'features '
    hex [buffer], 8
    say 10

    mov ax, FW_CFG_RAM_SIZE
    call fw_cfg_select
    mov ecx, 8
    call fw_cfg_read
    say 'ram size '
    hex [buffer + 4], 8
    hex [buffer], 8
    say 10

    mov ax, FW_CFG_NB_CPUS
    call fw_cfg_select
    mov ecx, 4                      ; the item has two bytes: what follows reads as zero
    call fw_cfg_read
    say 'cpus '
    hex [buffer], 8
    say 10

    mov esi, name_e820
    call find_file
    say 'etc/e820 size '
    dec_ ecx
    say 10
    call fw_cfg_select
    mov edi, buffer
    mov ecx, 20
    mov dx, FW_CFG_DATA
    rep insb
    say 'first entry type '
    dec_ [buffer + 16]
    say 10
    in al, dx
    say 'past the end '
    hex eax, 2
    say 10

    mov esi, name_greeting
    call find_file
    say 'greeting size '
    dec_ ecx
    say ' "'
    call fw_cfg_select
    mov edi, buffer
    call fw_cfg_read
    mov esi, buffer
    call put_chars
    line '"'

    ; Select again: the offset starts over.
    call fw_cfg_select
    mov dx, FW_CFG_DATA
    in al, dx
    in al, dx
    mov ah, al
    in al, dx
    say 'second and third '
    hex eax, 4
    say 10

    mov ax, 0x3fff                  ; no such item
    call fw_cfg_select
    mov ecx, 4
    call fw_cfg_read
    say 'unknown item '
    hex [buffer], 8
    say 10

    mov esi, name_missing
    call find_file
    jc .missing
    fail 'found a file that is not there'
.missing:
    line 'opt/missing not found'
    ret

; Look a file up in the directory: ESI = name; AX = selector, ECX = size; carry set when it is not there.
find_file:
    push edi
    push ebx
    mov ax, FW_CFG_FILE_DIR
    call fw_cfg_select
    call fw_cfg_be32
    mov ebx, eax
.entry:
    test ebx, ebx
    jz .none
    mov edi, entry_buffer
    mov ecx, 64
    call fw_cfg_read
    push esi
    add edi, 8
.compare:
    mov al, [esi]
    cmp al, [edi]
    jne .differs
    inc esi
    inc edi
    test al, al
    jnz .compare
    pop esi
    mov ecx, [entry_buffer]
    bswap ecx
    movzx eax, word [entry_buffer + 4]
    xchg al, ah
    clc
    jmp .out
.differs:
    pop esi
    dec ebx
    jmp .entry
.none:
    stc
.out:
    pop ebx
    pop edi
    ret

name_e820:     db 'etc/e820', 0
name_greeting: db 'opt/vmreplay/greeting', 0
name_missing:  db 'opt/missing', 0

BSS
entry_buffer: resb 64
buffer:       resb 256
ENDBSS
