; The error paths of fw_cfg DMA: writes to read-only and unknown items, a destination and a descriptor outside of
; memory, no operation at all, more bits than one operation. Every final control word is printed.

%define GUEST 'fwcfg-error'
%define WITH_DMA
%include "pvh.inc"
%include "fwcfg.inc"

NOWHERE equ 0xe0000000              ; in the PCI hole, no device decodes it

main:
    say 'read signature '
    mov eax, FW_CFG_SIGNATURE << 16 | DMA_SELECT | DMA_READ
    mov ecx, 4
    call run
    hex [buffer], 8
    say 10

    say 'write signature '
    mov eax, FW_CFG_SIGNATURE << 16 | DMA_SELECT | DMA_WRITE
    mov ecx, 4
    call run
    say 10

    say 'read unknown '
    mov dword [buffer], -1
    mov eax, 0x3fff << 16 | DMA_SELECT | DMA_READ
    mov ecx, 4
    call run
    hex [buffer], 8
    say 10

    say 'write unknown '
    mov eax, 0x3fff << 16 | DMA_SELECT | DMA_WRITE
    mov ecx, 4
    call run
    say 10

    say 'skip unknown '
    mov eax, 0x3fff << 16 | DMA_SELECT | DMA_SKIP
    mov ecx, 4
    call run
    say 10

    say 'destination nowhere '
    mov eax, FW_CFG_SIGNATURE << 16 | DMA_SELECT | DMA_READ
    mov ecx, 4
    mov edi, NOWHERE
    call fw_cfg_dma
    hex eax, 8
    say 10

    say 'no operation '
    xor eax, eax
    mov ecx, 4
    call run
    say 10

    say 'select only '
    mov eax, FW_CFG_ID << 16 | DMA_SELECT
    mov ecx, 4
    call run
    say 10

    say 'read and write '            ; read wins
    mov dword [buffer], -1
    mov eax, DMA_READ | DMA_WRITE
    mov ecx, 4
    call run
    hex [buffer], 8
    say 10

    say 'length zero '
    mov eax, FW_CFG_SIGNATURE << 16 | DMA_SELECT | DMA_READ
    xor ecx, ecx
    call run
    say 10

    say 'descriptor nowhere '        ; nothing to see but that the machine lives on
    mov eax, NOWHERE
    mov dx, FW_CFG_DMA
    push eax
    xor eax, eax
    out dx, eax
    pop eax
    bswap eax
    add dx, 4
    out dx, eax
    in eax, dx                      ; the register still reads as the signature
    bswap eax
    hex eax, 8
    say 10

    say 'alive '
    mov dword [buffer], 0
    mov eax, FW_CFG_SIGNATURE << 16 | DMA_SELECT | DMA_READ
    mov ecx, 4
    call run
    hex [buffer], 8
    say 10
    ret

run:
    mov edi, buffer
    call fw_cfg_dma
    hex eax, 8
    say ' '
    ret

BSS
dma:    resb 16
buffer: resb 64
ENDBSS
