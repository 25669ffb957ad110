; Virtual-8086 mode (Intel SDM volume 3, chapter 20) with IOPL 3 and 0, with and without CR4.VME: the frame of every
; exception, the instructions that trap and those that do not, INT n by the redirection bitmap (table 20-2), VIF and
; VIP, ports by the bitmap alone, and protected-mode virtual interrupts (PVI, 20.4).

%define GUEST 'sys-v86-vme'
%include "pvh.inc"
%include "sys32.inc"

CR4_VME     equ 1
CR4_PVI     equ 2
BITMAP      equ 0x88                ; I/O map base: 32 bytes of redirection lie below it
HANDLER     equ 0x300               ; 8086 handler of vectors 0x20 and 0x21, in V86_DATA's segment

%macro set_cr4 1
    mov eax, cr4
    and eax, ~(CR4_VME | CR4_PVI)
    or eax, %1
    mov cr4, eax
%endmacro

main:
    call sys_init
    outp 0x21, 0xff
    outp 0xa1, 0xff
    fninit
    ; TSS with a redirection bitmap and ports 0–0x3ff: 0x80 allowed, 0x81 denied.
    mov word [sys_tss + 0x66], BITMAP
    mov edi, sys_tss + 0x68
    mov ecx, 32 + 128 + 1
    xor eax, eax
    rep stosb
    mov byte [sys_tss + BITMAP + 0x10], 2
    mov byte [sys_tss + BITMAP + 128], 0xff
    seg_ SYS_TSS, sys_tss, BITMAP + 128, 0x89, 0
    mov eax, SYS_TSS
    ltr ax
    idtgate_ 0x20, CODE32, sys_stubs + 0x20 * 8, 0xee00
    idtgate_ 0x21, CODE32, sys_stubs + 0x21 * 8, 0xee00
    idtgate_ 3, CODE32, sys_stubs + 3 * 8, 0xee00
    idtgate_ 4, CODE32, sys_stubs + 4 * 8, 0xee00
    ; Vectors 0x20 and 0x21 of the 8086: UD2 in the data segment shows flags and stack there.
    mov dword [0x20 * 4], (V86_DATA >> 4) << 16 | HANDLER
    mov dword [0x21 * 4], (V86_DATA >> 4) << 16 | HANDLER
    mov word [V86_DATA + HANDLER], 0x0b0f

    mov dword [try_flags], EFL_IOPL3 | 2
    line 'exceptions, IOPL 3'
    try_v86 'div zero'
    xor cx, cx
    div cx
    endtry
    onev 'ud2', ud2
    onev 'int1', int1
    onev 'int3', int3
    onev 'int 20h', int 0x20
    try_v86 'into'
    mov al, 0x7f
    inc al
    into
    endtry
    try_v86 'bound'
    mov ax, 0x7fff
    mov word [0], 0
    mov word [2], 0
    bound ax, [0]
    endtry
    onev 'word across 64 KiB', mov ax, [0xffff]
    try_v86 'word across 64 KiB of the stack'
    mov bp, 0xffff
    mov ax, [bp]
    endtry
    try_v86 'push at 1'
    mov sp, 1
    push ax
    endtry
    try_v86 'offset beyond 64 KiB'
    mov ebx, 0x10000
    mov al, [ebx]
    endtry
    try_v86 'code written'
    mov [cs:v86_word - 0xffff0], ax
    endtry
    try_v86 'far jump'
    jmp V86_CS:%$there - 0xffff0
%$there:
    ud2
    endtry
    try_v86 'far call and return'
    call V86_CS:v86_retf - 0xffff0
    ud2
    endtry
    try_v86 'segments take any value'
    mov ax, 0xffff
    mov ds, ax
    mov es, ax
    mov fs, ax
    mov gs, ax
    ud2
    endtry
    try_v86 'above 1 MiB'
    mov ax, 0xffff
    mov ds, ax
    cmp dword [0x10], 0x464c457f
    jne %$wrong
    ud2
%$wrong:
    endtry
    onev 'hlt', hlt
    onev 'clts', clts
    onev 'lgdt', lgdt [0]
    onev 'mov cr0', mov eax, cr0
    onev 'mov dr7', mov eax, dr7
    onev 'lmsw', lmsw ax
    onev 'smsw', smsw ax
    onev 'sgdt', sgdt [0]
    onev 'sldt', sldt ax
    onev 'str', str ax
    onev 'lldt', lldt ax
    onev 'ltr', ltr ax
    onev 'lar', lar ax, ax
    onev 'verr', verr ax
    onev 'arpl', arpl ax, ax
    onev 'rdmsr', rdmsr
    onev 'invlpg', invlpg [0]
    onev 'wbinvd', wbinvd
    onev 'sysenter', sysenter
    onev 'sysexit', sysexit
    onev 'in, allowed', in al, 0x80
    onev 'in, denied', in al, 0x81
    onev 'in word, half denied', in ax, 0x80

    mov dword [try_flags], 2
    line 'ports, IOPL 0'
    onev 'in, allowed', in al, 0x80
    onev 'in, denied', in al, 0x81

    line 'interrupt flag, IOPL 3'
    mov dword [try_flags], EFL_IOPL3 | 2
    call flag_cases
    line 'interrupt flag, IOPL 3, VME'
    set_cr4 CR4_VME
    call flag_cases
    set_cr4 0
    mov dword [try_flags], 2
    line 'interrupt flag, IOPL 0'
    call flag_cases
    line 'interrupt flag, IOPL 0, VME'
    set_cr4 CR4_VME
    call flag_cases
    line 'interrupt flag, IOPL 0, VME, VIP'
    mov dword [try_flags], EFL_VIP | 2
    call flag_cases
    line 'interrupt flag, IOPL 0, VME, VIF, IF'
    mov dword [try_flags], EFL_VIF | EFL_IF | 2
    call flag_cases
    set_cr4 0

    ; INT n: table 20-2. Vector 0x20 is redirected to the 8086 program, 0x21 has its bit set.
    mov byte [sys_tss + BITMAP - 32 + 4], 2
    line 'int, no VME, IOPL 3'
    mov dword [try_flags], EFL_IOPL3 | EFL_IF | 2
    call int_cases
    line 'int, no VME, IOPL 0'
    mov dword [try_flags], EFL_IF | 2
    call int_cases
    set_cr4 CR4_VME
    line 'int, VME, IOPL 3'
    mov dword [try_flags], EFL_IOPL3 | EFL_IF | 2
    call int_cases
    line 'int, VME, IOPL 0'
    mov dword [try_flags], EFL_IF | 2
    call int_cases
    line 'int, VME, IOPL 0, VIF, NT'
    mov dword [try_flags], EFL_IF | EFL_VIF | EFL_NT | 2
    call int_cases
    seg_ SYS_TSS, sys_tss, 0x67, 0x89, 0
    mov eax, SYS_TSS
    ltr ax
    line 'int, VME, no bitmap in the TSS'
    mov dword [try_flags], EFL_IF | 2
    onev 'int 20h', int 0x20
    set_cr4 0

    ; PVI: ring 3 of protected mode with IOPL below 3.
    line 'PVI'
    set_cr4 CR4_PVI
    mov dword [try_flags], 2
    call pvi_cases
    line 'PVI, VIP'
    mov dword [try_flags], EFL_VIP | 2
    call pvi_cases
    line 'PVI, IOPL 3'
    mov dword [try_flags], EFL_IOPL3 | 2
    call pvi_cases
    set_cr4 0
    line 'no PVI'
    mov dword [try_flags], 2
    call pvi_cases
    report_rf
    ret

; Each ends in UD2, which shows the flags, or in a trap.
flag_cases:
    try_v86 'cli'
    cli
    ud2
    endtry
    try_v86 'sti'
    sti
    ud2
    endtry
    try_v86 'pushf'
    pushf
    pop word [0]
    ud2
    endtry
    call show_image
    try_v86 'pushfd'
    pushfd
    pop dword [0]
    ud2
    endtry
    try_v86 'popf IF'
    push word 0x0202
    popf
    ud2
    endtry
    try_v86 'popf no IF'
    push word 0x0002
    popf
    ud2
    endtry
    try_v86 'popf IOPL and NT'
    push word 0x7002
    popf
    ud2
    endtry
    try_v86 'popf TF'
    push word 0x0102
    popf
    nop
    ud2
    endtry
    try_v86 'popfd AC and IF'
    push dword 0x40202
    popfd
    ud2
    endtry
    try_v86 'iret IF'
    push word 0x0202
    push cs
    push word %$there - 0xffff0
    iret
%$there:
    ud2
    endtry
    try_v86 'iret no IF'
    push word 0x0002
    push cs
    push word %$there - 0xffff0
    iret
%$there:
    ud2
    endtry
    try_v86 'iret TF'
    push word 0x0102
    push cs
    push word %$there - 0xffff0
    iret
%$there:
    nop
    ud2
    endtry
    try_v86 'iretd IF'
    push dword 0x0202
    push dword V86_CS
    push dword %$there - 0xffff0
    iretd
%$there:
    ud2
    endtry
    ret

; The last PUSHF's image, when there was one.
show_image:
    say 'image '
    hex [V86_DATA], 4
    mov word [V86_DATA], 0
    say 10
    ret

int_cases:
    mov dword [V86_STACK + 0xffa], 0
    mov word [V86_STACK + 0xffe], 0
    onev 'int 20h', int 0x20
    say 'stack '
    hex [V86_STACK + 0xffe], 4      ; FLAGS
    say ' '
    hex [V86_STACK + 0xffc], 4      ; CS
    say 10
    onev 'int 21h', int 0x21
    onev 'int3', int3
    ret

pvi_cases:
    try3 'cli'
    cli
    ud2
    endtry
    try3 'sti'
    sti
    ud2
    endtry
    try3 'pushfd, popfd IF'
    push dword 0x202
    popfd
    ud2
    endtry
    ret

bits 16
v86_retf:
    retf
v86_word:
    dw 0
bits 32

BSS
    SYS32_BSS
ENDBSS
