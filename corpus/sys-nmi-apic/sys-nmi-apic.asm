; NMI, the interrupt flag's edges, HLT, and the local APIC's priorities (Intel SDM volume 3, 6.7, 6.8, 6.9 and 10.8):
; NMI blocking until the next IRET, one NMI latched; the shadow of STI and its absence behind POPF and IRET; pending
; interrupts against single steps; HLT ended by an interrupt or a debug trap; task priority, nesting, EOI; a gate that
; is not present, with EXT in the error code. Events are listed as vector, and +offset where it is certain; interrupts are raised by
; self-IPIs and given time to arrive.

%define GUEST 'sys-nmi-apic'
%include "pvh.inc"
%include "sys32.inc"

APIC        equ 0xfee00000
TPR         equ APIC + 0x80
PPR         equ APIC + 0xa0
EOI         equ APIC + 0xb0
SVR         equ APIC + 0xf0
ISR         equ APIC + 0x100
IRR         equ APIC + 0x200
ICR         equ APIC + 0x300
ICR_HIGH    equ APIC + 0x310
LVT_TIMER   equ APIC + 0x320
LVT_LINT0   equ APIC + 0x350
LVT_LINT1   equ APIC + 0x360
TIMER_COUNT equ APIC + 0x380
TIMER_DIV   equ APIC + 0x3e0
SELF        equ 0x44000             ; shorthand self, assert, fixed
NMI         equ 0x4400              ; to the APIC ID in ICR_HIGH

; A fixed interrupt to itself, and time for it to arrive.
%macro self 1
    mov dword [ICR], SELF | %1
    call settle
%endmacro

%macro watch 1+
    try %1
%endmacro
%macro endwatch 0
%$stop:
%$resume:
    cli
    call try_end
%pop
%endmacro

main:
    call sys_init
    outp 0x21, 0xff
    outp 0xa1, 0xff
    mov dword [SVR], 0x1ff
    mov dword [LVT_LINT0], 0x10000
    mov dword [LVT_LINT1], 0x10000
    mov dword [LVT_TIMER], 0x10000
    mov dword [TPR], 0
    mov dword [ICR_HIGH], 0
%assign vector 0x40
%rep 0x20
    idtgate_ vector, CODE32, stub_%+vector, 0x8e00
%assign vector vector + 1
%endrep
    idtgate_ 3, CODE32, on_int3, 0x8e00
    mov dword [try_hook], on_event

    call nmi
    mov byte [offsets], 1
    call flag
    call halting
    mov byte [offsets], 0           ; when a priority falls, an interrupt may take its time
    call priorities
    call bad_gate
    mov dword [try_hook], 0
    ret

%assign vector 0x40
%rep 0x20
stub_%+vector:
    push byte vector
    jmp sys_exception
%assign vector vector + 1
%endrep

settle:
    push ecx
    mov ecx, 1000
    loop $
    pop ecx
    ret

on_int3:
    iretd

; EBX vector, EBP registers; interrupts, NMI and #DB are listed and returned from.
on_event:
    cmp ebx, 2
    je .nmi
    cmp ebx, 1
    je .debug
    cmp ebx, 0x20
    jae .interrupt
    ret
.debug:
    mov eax, 0xffff0ff0
    mov dr6, eax
    call show_event
    jmp .leave
.interrupt:
    call show_event
    mov eax, [action]
    test eax, eax
    jz .eoi
    call eax
    jmp .leave
.eoi:
    mov dword [EOI], 0
    jmp .leave
.nmi:
    say ' nmi'
    ; `=` when not one instruction has run since the NMI that it waited for.
    mov eax, [ebp + 24]
    mov ecx, [ebp + 36]
    cmp byte [nmi_waits], 0
    mov byte [nmi_waits], 0
    je .elsewhere
    cmp eax, [nmi_ecx]
    jne .elsewhere
    cmp ecx, [nmi_eip]
    jne .elsewhere
    say '='
.elsewhere:
    mov [nmi_ecx], eax
    mov [nmi_eip], ecx
    mov eax, [action]
    test eax, eax
    jz .leave
    mov dword [action], 0
    call eax
.leave:
    mov esp, ebp
    popad
    add esp, 4
    iretd

show_event:
    say ' '
    hex ebx, 2
    cmp byte [offsets], 0
    je .away
    mov eax, [ebp + 36]
    sub eax, [try_start]
    cmp eax, 0x100
    jae .away
    say '+'
    hex eax, 2
.away:
    ret

nmi:
    line 'nmi'
    mov dword [action], 0
    watch 'with IF clear'
    mov dword [ICR], NMI
    call settle
    endwatch
    watch 'with IF set'
    sti
    mov dword [ICR], NMI
    call settle
    endwatch
    watch 'above every priority'
    mov dword [TPR], 0xff
    mov dword [ICR], NMI
    call settle
    mov dword [TPR], 0
    endwatch
    mov dword [action], nmi_nested
    watch 'another in the handler waits for its iret'
    mov dword [ICR], NMI
    call settle
    endwatch
    mov dword [action], nmi_twice
    watch 'two in the handler are one'
    mov dword [ICR], NMI
    call settle
    endwatch
    mov dword [action], nmi_and_iret
    watch 'an iret of int3 in the handler ends the blocking'
    mov dword [ICR], NMI
    call settle
    endwatch
    mov dword [action], nmi_and_retf
    watch 'a far return does not'
    mov dword [ICR], NMI
    call settle
    endwatch
    mov dword [action], 0
    watch 'iret without an nmi changes nothing'
    push dword 2
    push cs
    push dword %$there
    iretd
%$there:
    mov dword [ICR], NMI
    call settle
    endwatch
    ret

nmi_nested:
    say ' ('
    mov dword [ICR], NMI
    call settle
    say ')'
    mov byte [nmi_waits], 1
    ret
nmi_twice:
    say ' ('
    mov dword [ICR], NMI
    call settle
    mov dword [ICR], NMI
    call settle
    say ')'
    mov byte [nmi_waits], 1
    ret
nmi_and_iret:
    say ' ('
    mov dword [ICR], NMI
    call settle
    say ' int3'
    int3
    call settle
    say ')'
    ret
nmi_and_retf:
    say ' ('
    mov dword [ICR], NMI
    call settle
    say ' retf'
    call CODE32:.far
    call settle
    say ')'
    mov byte [nmi_waits], 1
    ret
.far:
    retf

; A pending interrupt and the instructions that open the door.
flag:
    line 'interrupt flag'
    mov dword [action], 0
    watch 'sti, nop, nop'
    self 0x30
    sti
    nop
    nop
    endwatch
    watch 'sti, cli'
    self 0x30
    sti
    cli
    nop
    endwatch
    watch 'sti, sti, nop'
    sti
    nop
    endwatch
    watch 'popfd, nop'
    self 0x30
    push dword 0x202
    popfd
    nop
    endwatch
    watch 'iretd'
    self 0x30
    push dword 0x202
    push cs
    push dword %$there
    iretd
%$there:
    nop
    endwatch
    watch 'sti, popfd of IF clear'
    self 0x30
    push dword 2
    sti
    popfd
    nop
    endwatch
    watch 'and then sti, jmp'
    sti
    jmp short %$there
    nop
%$there:
    nop
    endwatch
    watch 'sti, int3'
    self 0x30
    sti
    int3
    nop
    endwatch
    watch 'sti, ud2'
    self 0x30
    sti
    ud2
    endwatch
    watch 'still pending'
    sti
    nop
    nop
    endwatch
    watch 'single step over sti'
    self 0x30
    push dword EFL_TF | 2
    popfd
    sti
    nop
    nop
    push dword 2
    popfd
    endwatch
    watch 'popfd of TF and IF'
    self 0x30
    push dword EFL_TF | EFL_IF | 2
    popfd
    nop
    push dword 2
    popfd
    endwatch
    watch 'two pending'
    self 0x30
    self 0x41
    sti
    nop
    nop
    endwatch
    ret

halting:
    line 'hlt'
    watch 'sti, hlt, pending'
    self 0x30
    sti
    hlt
    nop
    endwatch
    mov dword [TIMER_DIV], 0x0b     ; by 1
    watch 'until the timer'
    mov dword [LVT_TIMER], 0x32
    sti
    mov dword [TIMER_COUNT], 2000000
    hlt
    nop
    endwatch
    watch 'twice'
    sti
    mov dword [TIMER_COUNT], 2000000
    hlt
    mov dword [TIMER_COUNT], 2000000
    hlt
    nop
    endwatch
    watch 'a debug trap ends it'
    push dword EFL_TF | EFL_IF | 2
    mov dword [TIMER_COUNT], 20000000 ; for processors that sleep on
    popfd
    hlt
    push dword 2
    popfd
    mov dword [TIMER_COUNT], 0
    endwatch
    mov dword [LVT_TIMER], 0x10000
    ret

priorities:
    line 'priorities'
    watch 'highest vector first'
    self 0x31
    self 0x45
    self 0x42
    self 0x55
    self 0x30
    sti
    call settle
    endwatch
    watch 'task priority 0x42'
    mov dword [TPR], 0x42
    self 0x31
    self 0x45
    self 0x42
    self 0x55
    sti
    call settle
    say ' |'
    mov dword [TPR], 0x3f
    call settle
    say ' |'
    mov dword [TPR], 0x2f
    call settle
    mov dword [TPR], 0
    endwatch
    watch 'one vector twice is one'
    self 0x42
    self 0x42
    sti
    call settle
    endwatch
    mov dword [action], nested
    watch 'a higher class interrupts a handler'
    self 0x42
    sti
    call settle
    endwatch
    mov dword [action], no_eoi
    watch 'in service until EOI'
    self 0x42
    sti
    call settle
    mov dword [action], 0
    self 0x45
    self 0x30
    self 0x51
    say ' |'
    mov dword [EOI], 0
    call settle
    endwatch
    mov dword [action], twice_in_service
    watch 'the same vector again while in service'
    self 0x42
    sti
    call settle
    endwatch
    mov dword [action], 0
    watch 'EOI without anything in service'
    mov dword [EOI], 0
    self 0x42
    sti
    call settle
    endwatch
    watch 'PPR is the higher of both'
    mov dword [action], show_ppr
    mov dword [TPR], 0x15
    self 0x42
    sti
    call settle
    mov dword [TPR], 0x4a
    self 0x55
    call settle
    mov dword [TPR], 0
    endwatch
    mov dword [action], 0
    watch 'IRR and ISR'
    self 0x30
    self 0x45
    say ' irr '
    hex [IRR + 0x10], 8
    say ' '
    hex [IRR + 0x20], 8
    mov dword [action], show_isr
    sti
    call settle
    endwatch
    mov dword [action], 0
    ret

; Actions of a handler: EBX is its vector.
nested:
    say ' ('
    mov dword [action], 0
    self 0x45
    self 0x41
    self 0x31
    self 0x51
    sti
    call settle
    cli
    say ' )'
    mov dword [EOI], 0
    ret
no_eoi:
    ret
twice_in_service:
    say ' ('
    mov dword [action], 0
    self 0x42
    sti
    call settle
    cli
    say ' )'
    mov dword [EOI], 0
    ret
show_ppr:
    say ' ppr '
    hex [PPR], 2
    mov dword [EOI], 0
    ret
show_isr:
    say ' isr '
    hex [ISR + 0x10], 8
    say ' '
    hex [ISR + 0x20], 8
    mov dword [EOI], 0
    ret

; The interrupt is acknowledged, and its gate does not work: #NP and #GP with EXT.
bad_gate:
    line 'external interrupts through bad gates'
    idtgate_ 0x50, CODE32, stub_80, 0x0e00
    try 'not present'
    self 0x50
    sti
    nop
    nop
    endtry0
    call end_service
    idtgate_ 0x50, CODE32, stub_80, 0x8c00
    try 'not a gate for interrupts'
    self 0x50
    sti
    nop
    nop
    endtry0
    call end_service
    idtgate_ 0x50, 0x1f8, stub_80, 0x8e00
    try 'selector of nothing'
    self 0x50
    sti
    nop
    nop
    endtry0
    call end_service
    lidt [short_idt]
    try 'beyond the table'
    self 0x50
    sti
    nop
    nop
    endtry0
    call end_service
    lidt [sys_idt_pointer]
    idtgate_ 0x50, CODE32, stub_80, 0x8e00
    ret

end_service:
    say '  isr '
    hex [ISR + 0x20], 8
    mov dword [EOI], 0
    say ' then '
    hex [ISR + 0x20], 8
    say 10
    ret

short_idt:
    dw 0x40 * 8 - 1
    dd sys_idt

BSS
    SYS32_BSS
action:  resd 1
nmi_ecx: resd 1
nmi_eip: resd 1
nmi_waits: resb 1
offsets: resb 1
ENDBSS
