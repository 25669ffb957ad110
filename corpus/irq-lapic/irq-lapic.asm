; The local APIC without an I/O APIC: software enable, timer one-shot and periodic with HLT, self-IPI with
; priorities (TPR, PPR, ISR, IRR), and the register resets a kernel looks at. Intel SDM volume 3, chapter 10.

%define GUEST 'irq-lapic'
%include "pvh.inc"
%include "idt.inc"

LAPIC       equ 0xfee00000
APIC_ID     equ LAPIC + 0x020
APIC_VER    equ LAPIC + 0x030
APIC_TPR    equ LAPIC + 0x080
APIC_PPR    equ LAPIC + 0x0a0
APIC_EOI    equ LAPIC + 0x0b0
APIC_SVR    equ LAPIC + 0x0f0
APIC_ISR    equ LAPIC + 0x100
APIC_IRR    equ LAPIC + 0x200
APIC_ICR    equ LAPIC + 0x300
APIC_LVTT   equ LAPIC + 0x320
APIC_LINT0  equ LAPIC + 0x350
APIC_INIT   equ LAPIC + 0x380
APIC_COUNT  equ LAPIC + 0x390
APIC_DIVIDE equ LAPIC + 0x3e0

TIMER       equ 0x40
LOW         equ 0x51
HIGH        equ 0x61

main:
    call idt_init
    call pic_init
    gate TIMER, on_timer
    gate LOW, on_low
    gate HIGH, on_high
    gate 0xff, on_spurious

    mov ecx, 0x1b                   ; IA32_APIC_BASE
    rdmsr
    say 'apic base '
    hex edx, 8
    hex eax, 8
    say 10
    mov dword [APIC_SVR], 0x1ff
    mov dword [APIC_LINT0], 0x10000
    mov dword [APIC_TPR], 0
    say 'id '
    hex [APIC_ID], 8
    say ' version '
    hex [APIC_VER], 8
    say 10

    ; One-shot.
    mov dword [APIC_DIVIDE], 3      ; by 16
    mov dword [APIC_LVTT], TIMER
    mov dword [APIC_INIT], 100000
    call wait_tick
    say 'one-shot ticks '
    dec_ [ticks]
    say ' count '
    dec_ [APIC_COUNT]
    say 10

    ; Periodic.
    mov dword [ticks], 0
    mov dword [APIC_LVTT], 0x20000 | TIMER
    mov dword [APIC_INIT], 50000
.periodic:
    call wait_tick
    cmp dword [ticks], 10
    jb .periodic
    mov dword [APIC_INIT], 0        ; stops it
    say 'periodic ticks '
    dec_ [ticks]
    say ' count '
    dec_ [APIC_COUNT]
    say 10

    ; Masked: the counter runs out, nothing is delivered.
    mov dword [APIC_LVTT], 0x10000 | TIMER
    mov dword [APIC_INIT], 1000
    sti
.masked:
    cmp dword [APIC_COUNT], 0
    jne .masked
    nop
    cli
    say 'masked ticks '
    dec_ [ticks]
    say 10

    ; Two IPIs to itself with interrupts off, the higher vector is served first.
    mov dword [APIC_ICR], 0x40000 | LOW
    mov dword [APIC_ICR], 0x40000 | HIGH
    say 'irr '
    hex [APIC_IRR + 0x20], 8        ; vectors 0x40–0x5f
    say ' '
    hex [APIC_IRR + 0x30], 8        ; vectors 0x60–0x7f
    say 10
    sti
    nop
    nop
    cli
    say 'order '
    mov esi, order
    call put_string
    say 10

    ; TPR 0x60 holds both classes back, TPR 0x50 lets 0x61 through.
    mov dword [order_length], 0
    mov dword [order], 0
    mov dword [APIC_TPR], 0x60
    mov dword [APIC_ICR], 0x40000 | HIGH
    mov dword [APIC_ICR], 0x40000 | LOW
    sti
    nop
    nop
    cli
    say 'tpr 60 "'
    mov esi, order
    call put_string
    say '" ppr '
    hex [APIC_PPR], 2
    say 10
    mov dword [APIC_TPR], 0x50
    sti
    nop
    nop
    cli
    say 'tpr 50 "'
    call put_string
    line '"'
    mov dword [APIC_TPR], 0
    sti
    nop
    nop
    cli
    say 'tpr 00 "'
    call put_string
    line '"'
    ret

; HLT until one more tick has come.
wait_tick:
    mov eax, [ticks]
.sleep:
    sti
    hlt
    cli
    cmp [ticks], eax
    je .sleep
    ret

on_timer:
    inc dword [ticks]
    mov dword [APIC_EOI], 0
    iretd

on_low:
    push eax
    mov al, 'l'
    jmp record
on_high:
    push eax
    mov al, 'h'
record:
    push ebx
    mov ebx, [order_length]
    mov [order + ebx], al
    inc dword [order_length]
    mov eax, [APIC_PPR]
    shr eax, 4
    add al, '0'
    mov [order + ebx + 1], al
    inc dword [order_length]
    pop ebx
    mov dword [APIC_EOI], 0
    pop eax
    iretd

on_spurious:
    iretd

BSS
idt:          resb 256 * 8
ticks:        resd 1
order_length: resd 1
order:        resb 64
ENDBSS
