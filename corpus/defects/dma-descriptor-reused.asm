; Reads etc/e820 by DMA to a buffer of 128 bytes, with the size that the directory says, and uses the descriptor, which
; lies behind the buffer, for another transfer: of its fields only those are set that are to change. Waits for a control
; word of zero, which an error never gives.

%define GUEST 'dma-descriptor-reused'
%include "pvh.inc"
%include "fwcfg.inc"
%include "defects/defect.inc"

main:
    find_file 'etc/', 'e820'
    mov ecx, [entry_of_file]
    bswap ecx
    cmp ecx, 4096
    ja refuse
    mov eax, [entry_of_file]
    mov [dma + 4], eax
    mov dword [dma + 8], 0
    mov eax, buffer
    bswap eax
    mov [dma + 12], eax
    movzx eax, word [entry_of_file + 4]
    xchg al, ah
    shl eax, 16
    or eax, DMA_SELECT | DMA_READ
    call transfer
    mov eax, (FW_CFG_SIGNATURE << 16) | DMA_SELECT | DMA_READ
    mov dword [dma + 4], 4 << 24    ; four bytes, to the same buffer
    call transfer
    ret

; One transfer: EAX = control, the rest is in the descriptor.
transfer:
    bswap eax
    mov [dma], eax
    mov dx, FW_CFG_DMA
    xor eax, eax
    out dx, eax
    mov eax, dma
    bswap eax
    mov dx, FW_CFG_DMA + 4
    out dx, eax
..@defect:
    cmp dword [dma], 0
    jne ..@defect
    ret

refuse:
    fail 'refused'

BSS
entry_of_file:
    resb 64
buffer:
    resb 128
dma:
    resb 16
    resb 4096
ENDBSS
