; An option ROM that says hello on the debug console and on the first serial port, and gives control back to the BIOS.
; BIOS Boot Specification 1.01, PCI Firmware Specification 3.0: signature, length in 512 bytes, entry at offset 3 by a
; far call, and bytes that add up to 0 (checksum.mjs).

bits 16
org 0

    db 0x55, 0xaa
    db 2                        ; 1024 bytes
    jmp short entry
    times 0x1a - ($ - $$) db 0
    dw pnp

pnp:                            ; Plug and Play Expansion Header
    db '$PnP', 1, 2             ; version 1, 32 bytes
    dw 0                        ; no next header
    db 0, 0
    dd 0                        ; device
    dw 0, 0                     ; manufacturer, product
    db 0, 0, 0                  ; class
    db 0                        ; not a boot device
    times 32 - ($ - pnp) db 0

entry:
    pusha
    push ds
    push cs
    pop ds
    cld
    mov si, message
.next:
    lodsb
    test al, al
    jz .done
    mov dx, 0x402               ; debug console
    out dx, al
    mov ah, al
    mov dx, 0x3fd               ; COM1: wait until it takes a byte
.wait:
    in al, dx
    test al, 0x20
    jz .wait
    mov al, ah
    mov dx, 0x3f8
    out dx, al
    jmp .next
.done:
    pop ds
    popa
    retf

message db 'hello from the option ROM', 13, 10, 0

    times 1024 - ($ - $$) db 0
