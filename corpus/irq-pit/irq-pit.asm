; Interrupts of old: 8259 pair remapped, 8254 channel 0 at 1 kHz, HLT until 20 ticks have come. Also polls the
; controller's IRR and ISR, and runs channel 2 as a one-shot through port 0x61.

%define GUEST 'irq-pit'
%include "pvh.inc"
%include "idt.inc"

DIVISOR equ 1193                    ; 1193182 Hz / 1193: 1000.15 Hz

main:
    call idt_init
    call pic_init
    gate 0x20, tick
    gate 0x27, spurious

    outp 0x43, 0x34                 ; channel 0, low then high byte, mode 2
    outp 0x40, DIVISOR & 0xff
    outp 0x40, DIVISOR >> 8

    mov ecx, 1000000
    outp 0x20, 0x0a                 ; next read: IRR
.pending:
    in al, 0x20
    test al, 1
    jnz .raised
    loop .pending
    fail 'no request'
.raised:
    say 'irr '
    and eax, 1
    hex eax, 2
    outp 0x20, 0x0b                 ; next read: ISR
    in al, 0x20
    say ' isr '
    hex eax, 2
    say 10

    outp 0x21, 0xfe                 ; IRQ 0 alone
.wait:
    sti
    hlt
    cli
    mov eax, [ticks]
    xor edx, edx
    mov ecx, 5
    div ecx
    test edx, edx
    jnz .more
    say 'ticks '
    dec_ [ticks]
    say ' isr in handler '
    hex [isr], 2
    say 10
.more:
    cmp dword [ticks], 20
    jb .wait
    outp 0x21, 0xff

    ; The counter runs: two latched reads differ and stay within the divisor.
    call latch
    mov ebx, eax
    mov ecx, 1000
.moves:
    call latch
    cmp eax, DIVISOR
    ja .out_of_range
    cmp eax, ebx
    jne .moved
    loop .moves
    fail 'counter stands still'
.out_of_range:
    fail 'counter above its divisor'
.moved:
    line 'counter runs'

    ; Read-back of channel 0: status byte, then count.
    outp 0x43, 0xe2                 ; status only
    in al, 0x40
    say 'status '
    and al, 0x7f                    ; bit 7 is the output, which depends on the moment
    hex eax, 2
    say 10

    ; Channel 2, mode 0, gated by port 0x61 bit 0; its output is bit 5.
    in al, 0x61
    and al, 0xfc
    out 0x61, al
    outp 0x43, 0xb0
    outp 0x42, 0x00
    outp 0x42, 0x04                 ; 1024 periods
    in al, 0x61
    and eax, 0x20
    say 'channel 2 before '
    hex eax, 2
    in al, 0x61
    or al, 1
    out 0x61, al
    mov ecx, 10000000
.one_shot:
    in al, 0x61
    test al, 0x20
    jnz .fired
    loop .one_shot
    say 10
    fail 'channel 2 never fired'
.fired:
    say ' after '
    and eax, 0x20
    hex eax, 2
    say 10
    ret

; EAX = the latched count of channel 0.
latch:
    outp 0x43, 0x00
    in al, 0x40
    movzx edx, al
    in al, 0x40
    movzx eax, al
    shl eax, 8
    or eax, edx
    ret

tick:
    push eax
    inc dword [ticks]
    in al, 0x20
    mov [isr], al
    outp 0x20, 0x20
    pop eax
    iretd

spurious:
    inc dword [spurious_count]
    iretd

BSS
idt:            resb 256 * 8
ticks:          resd 1
isr:            resd 1
spurious_count: resd 1
ENDBSS
