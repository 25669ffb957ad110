; fw_cfg by DMA: the register's signature, a walk of the whole directory, a file read in one transfer, in two with
; a skip between, past its end, and the port interface sharing the selected item's offset.

%define GUEST 'fwcfg-dma'
%define WITH_DMA
%include "pvh.inc"
%include "fwcfg.inc"

main:
    mov dx, FW_CFG_DMA
    in eax, dx
    mov [buffer], eax
    add dx, 4
    in eax, dx
    mov [buffer + 4], eax
    say 'register '
    mov esi, buffer
    mov ecx, 8
    call put_chars
    say 10
    cmp dword [buffer], 'QEMU'
    je .present
    fail 'no fw_cfg DMA'
.present:

    mov eax, FW_CFG_FILE_DIR << 16 | DMA_SELECT | DMA_READ
    mov ecx, 4
    mov edi, buffer
    call fw_cfg_dma
    mov ebx, [buffer]
    bswap ebx
.entry:
    test ebx, ebx
    jz .walked
    mov eax, DMA_READ               ; no select: go on where the last transfer ended
    mov ecx, 64
    mov edi, entry_buffer
    call fw_cfg_dma
    cmp dword [entry_buffer + 8], 'genr'    ; option ROMs depend on who loads the guest
    je .next
    cmp dword [entry_buffer + 8], 'boot'    ; so does bootorder
    je .next
    say 'file '
    mov esi, entry_buffer + 8
    call put_string
    say ' '
    mov eax, [entry_buffer]
    bswap eax
    dec_ eax
    say 10
    cmp dword [entry_buffer + 8], 'opt/'
    jne .next
    mov ax, [entry_buffer + 4]
    xchg al, ah
    mov [selector], ax
.next:
    dec ebx
    jmp .entry
.walked:
    cmp word [selector], 0
    jne .found
    fail 'no opt/ file'
.found:

    call clear
    mov ecx, 16
    call select_and_read
    say 'whole '
    call show

    call clear
    mov ecx, 4
    call select_and_read
    mov eax, DMA_SKIP
    mov ecx, 4
    call fw_cfg_dma
    mov eax, DMA_READ
    mov ecx, 4
    lea edi, [buffer + 4]
    call fw_cfg_dma
    say 'skip 4 '
    call show

    mov edi, buffer
    mov eax, DMA_READ               ; 4 bytes are left, the rest of the 16 is filled with zeros
    mov ecx, 16
    call fw_cfg_dma
    say 'rest '
    call show
    say 'past the end '
    hex [buffer + 4], 8
    say 10

    movzx eax, word [selector]      ; select alone, then bytes through the port
    shl eax, 16
    or eax, DMA_SELECT
    xor ecx, ecx
    call fw_cfg_dma
    mov ecx, 3
    mov edi, buffer
    call fw_cfg_read
    mov eax, DMA_READ
    mov ecx, 3
    lea edi, [buffer + 3]
    call fw_cfg_dma
    say 'port and dma '
    call show
    say 'status '
    hex eax, 8
    say 10
    ret

; Fill the buffer with '-'.
clear:
    mov edi, buffer
    mov ecx, 16
    mov al, '-'
    rep stosb
    mov edi, buffer
    ret

select_and_read:
    movzx eax, word [selector]
    shl eax, 16
    or eax, DMA_SELECT | DMA_READ
    jmp fw_cfg_dma

show:
    mov esi, buffer
    mov ecx, 16
    call put_chars
    say 10
    ret

BSS
dma:          resb 16
selector:     resd 1
entry_buffer: resb 64
buffer:       resb 64
ENDBSS
