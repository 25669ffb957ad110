; An interrupt-heavy guest: INTERRUPTS times the processor sends itself an interrupt through its local APIC; the handler
; reads a port, writes the end of the interrupt and returns. Delivery, gates, IRETQ, MMIO and port exchanges. 64-bit mode.

%define GUEST 'interrupts'
%include "pvh.inc"
%include "sys64.inc"

%ifndef INTERRUPTS
%define INTERRUPTS 1000000
%endif
VECTOR      equ 0x50
APIC        equ 0xfee00000
APIC_EOI    equ 0xb0
APIC_SPURIOUS equ 0xf0
APIC_ICR    equ 0x300
SELF_FIXED  equ 0x40000             ; shorthand "self", fixed delivery (Intel SDM volume 3, 10.6.1)

main:
    outp 0x21, 0xff
    outp 0xa1, 0xff
    mov dword [pdpt + 3 * 8], pd_apic + 3
    mov dword [pd_apic + 503 * 8], APIC + 0x93
    jmp sys64_enter

bits 64
default abs
main64:
    idtgate_ VECTOR, CODE64, on_interrupt, 0x8e, 0
    mov ebx, APIC
    mov dword [rbx + APIC_SPURIOUS], 0x1ff
    xor ebp, ebp
    sti
.next:
    mov ecx, ebp
    mov dword [rbx + APIC_ICR], SELF_FIXED | VECTOR
.wait:
    cmp ecx, ebp
    je .wait
    cmp ebp, INTERRUPTS
    jb .next
    cli
    say64 'interrupts '
    hex64 rbp, 8
    say64 10
    ret

on_interrupt:
    push rax
    in al, 0x61
    inc ebp
    mov dword [rbx + APIC_EOI], 0
    pop rax
    iretq

BSS
    SYS64_BSS
    reserve_to 4096
pd_apic:    resb 4096
ENDBSS
