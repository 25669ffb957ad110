; Fast system calls and what belongs to them (Intel SDM volume 2: SYSCALL, SYSRET, SYSENTER, SYSEXIT, SWAPGS, RDFSBASE …;
; volume 3, 5.8.7 and 5.8.8), from protected mode, compatibility mode and 64-bit mode, rings 0 and 3: the bits that turn
; them on, selectors, flags and their masks, RF and TF, addresses that are cut or not canonical, wrong privilege.
; A call that arrives is listed by what its target finds: CS, SS, RFLAGS without RF and the arithmetic flags, RCX as an
; offset into the case, R11, and RSP (`user` where it is still the caller's, `fast` where SYSENTER loaded it).

%define GUEST 'sys-fast-calls'
%include "pvh.inc"
%include "sys64.inc"

FAST_CS     equ FREE_SEL            ; six descriptors as SYSENTER and SYSEXIT count them; only their numbers matter
SCE         equ 1
CR4_FSGSBASE equ 0x10000

STAR        equ 0xc0000081
LSTAR       equ 0xc0000082
CSTAR       equ 0xc0000083
FMASK       equ 0xc0000084
FS_BASE     equ 0xc0000100
GS_BASE     equ 0xc0000101
KERNEL_GS   equ 0xc0000102
SYSENTER_CS equ 0x174
SYSENTER_SP equ 0x175
SYSENTER_IP equ 0x176

%macro msr32 2                      ; register, value
    mov ecx, %1
    mov eax, %2
    xor edx, edx
    wrmsr
%endmacro
%macro msr64 2
    mov ecx, %1
    mov rdx, %2
    mov eax, edx
    shr rdx, 32
    wrmsr
%endmacro

bits 32
main:
    outp 0x21, 0xff
    outp 0xa1, 0xff
    line 'protected mode'
    msr32 SYSENTER_CS, CODE32
    msr32 SYSENTER_SP, legacy_top
    msr32 SYSENTER_IP, .ring0
    sysenter
.ring0:
    say 'sysenter, ring 0:'
    call .show
    msr32 SYSENTER_IP, .back
    mov ecx, user_top
    mov edx, .user
    sysexit
.user:
    mov [ss:seen], cs
    mov [ss:seen + 4], ss
    mov [ss:seen + 8], esp
    sysenter
.back:
    mov bx, DATA32
    mov ss, bx
    jmp CODE32:.flat
.flat:
    say 'sysexit: cs='
    hex [seen], 4
    say ' ss='
    hex [seen + 4], 4
    mov eax, user_top
    sub eax, [seen + 8]
    say ' sp='
    hex eax, 4
    say 10
    mov esp, stack_top - 0x100
    jmp sys64_enter
.show:
    say ' cs='
    mov eax, cs
    hex eax, 4
    say ' ss='
    mov eax, ss
    hex eax, 4
    mov eax, legacy_top - 4
    sub eax, esp
    say ' sp='
    hex eax, 4
    say 10
    ret

bits 64
main64:
    fninit
    xor eax, eax
    mov dr7, rax
    mov eax, 0xffff0ff0
    mov dr6, rax
    msr32 FMASK, EFL_IF | EFL_AC
    msr64 STAR, (USER_CODE << 48) | (CODE64 << 32)
    msr64 LSTAR, syscall_entry
    msr64 CSTAR, syscall_entry
    msr32 SYSENTER_CS, 0
    msr64 SYSENTER_SP, fast_top
    msr64 SYSENTER_IP, sysenter_entry

    call calls
    call sysrets
    call sysenters
    call sysexits
    call bases
    report_rf
    ret

%macro sce 1
    mov ecx, EFER
    rdmsr
    and eax, ~SCE
    or eax, %1
    wrmsr
%endmacro

; What a call found. Nothing is on a stack when it arrives.
syscall_entry:
    mov [found_rsp], rsp
    mov esp, entry_top
    pushfq
    call show_call
    say64 ' rcx=+'
    mov rax, [found_rcx]
    sub rax, [try_start]
    hex64 rax, 2
    say64 ' r11='
    hex64 [found_r11], 6
    jmp call_done
sysenter_entry:
    mov [found_rsp], rsp
    mov esp, entry_top
    pushfq
    call show_call
call_done:
    say64 ' rsp='
    mov rax, [found_rsp]
    cmp rax, fast_top
    je .fast
    cmp rax, user_top
    je .user
    cmp rax, [try_rsp]
    je .user
    hex64 rax, 16
    jmp .resume
.fast:
    say64 'fast'
    jmp .resume
.user:
    say64 'user'
.resume:
    mov rsp, [try_rsp]
    push qword 2
    popfq
    jmp [try_resume]

show_call:
    mov [found_rcx], rcx
    mov [found_r11], r11
    cld
    say64 ' cs='
    mov eax, cs
    hex64 rax, 4
    say64 ' ss='
    mov eax, ss
    hex64 rax, 4
    say64 ' fl='
    mov rax, [rsp + 8]
    and eax, ~(EFL_RF | 0x8d5)
    hex64 rax, 6
    xor eax, eax
    mov ss, eax
    ret

%macro flags_ 1
    push qword %1
    popfq
%endmacro

calls:
    line64 'syscall'
    sce 0
    one 'SCE clear', syscall
    one3 'SCE clear, ring 3', syscall
    sce SCE
    one3 'ring 3', syscall
    mov qword [try_flags], EFL_IF | EFL_IOPL3 | EFL_NT | EFL_AC | 2
    one3 'ring 3, IF, IOPL, NT and AC', syscall
    mov qword [try_flags], 2
    try3 'ring 3, with DF and arithmetic flags'
    std
    syscall
    endtry
    onec 'compatibility mode', db 0x0f, 0x05
    try 'ring 0'
    nop
    nop
    syscall
    endtry0
    one3 'with an operand size prefix', db 0x66, 0x0f, 0x05
    one3 'lock', db 0xf0, 0x0f, 0x05
    try3 'stack not canonical'
    mov rsp, HOLE
    syscall
    endtry
    msr64 STAR, (USER_CODE << 48) | ((CODE64 | 3) << 32)
    one3 'RPL 3 in the register', syscall
    msr64 STAR, (USER_CODE << 48) | (CODE64 << 32)
    ; TF is looked at when the call is done.
    msr32 FMASK, EFL_TF
    try3 'stepped, TF in the mask'
    flags_ EFL_TF | 2
    syscall
    endtry
    msr32 FMASK, 0
    try3 'stepped, TF not in the mask'
    mov qword [try_start], syscall_entry
    flags_ EFL_TF | 2
    syscall
    endtry
    msr32 FMASK, 0xffffffff
    mov qword [try_flags], EFL_IF | EFL_IOPL3 | EFL_NT | EFL_AC | 2
    one3 'all flags in the mask', syscall
    mov qword [try_flags], 2
    msr32 FMASK, EFL_IF | EFL_AC
    ret

; A return that is expected to reach user_ud2.
%macro returning 1+
    try %1
    mov qword [try_start], user_ud2
    mov ecx, user_ud2
    mov edx, user_ud2
    mov r11d, 2
    mov rsi, rsp
    mov esp, user_top
%endmacro

sysrets:
    line64 'sysret'
    returning 'to 64-bit mode'
    o64 sysret
    endtry0
    returning 'to compatibility mode'
    sysret
    endtry0
    returning 'to compatibility mode, rcx cut'
    bts rcx, 35
    sysret
    endtry0
    returning 'flags'
    mov r11, 0xfffffffffffcbeff     ; neither VM, RF, NT nor TF
    o64 sysret
    endtry0
    returning 'no flags'
    xor r11d, r11d
    o64 sysret
    endtry0
    returning 'RF and VM'
    mov r11d, EFL_RF | 0x20002
    o64 sysret
    endtry0
    returning 'TF: a step at once'
    mov r11d, EFL_TF | 2
    o64 sysret
    endtry0
    try 'rcx not canonical'
    mov r11d, 2
    mov rcx, HOLE
    o64 sysret
    endtry0
    one3 'ring 3', db 0x48, 0x0f, 0x07
    onec 'compatibility mode', db 0x0f, 0x07
    sce 0
    one 'SCE clear', o64 sysret
    sce SCE
    msr64 STAR, (CODE64 << 48) | (CODE64 << 32)
    returning 'selectors'
    o64 sysret
    endtry0
    msr64 STAR, (USER_CODE << 48) | (CODE64 << 32)
    ret

sysenters:
    line64 'sysenter'
    one3 'cs null', sysenter
    msr32 SYSENTER_CS, 3
    one3 'cs 3', sysenter
    msr32 SYSENTER_CS, FAST_CS
    one3 'ring 3', sysenter
    onec 'compatibility mode', sysenter
    one 'ring 0', sysenter
    mov qword [try_flags], EFL_IF | EFL_IOPL3 | EFL_NT | EFL_AC | 2
    one3 'IF, IOPL, NT and AC', sysenter
    mov qword [try_flags], 2
    msr32 SYSENTER_CS, FAST_CS | 3
    one3 'RPL 3 in the register', sysenter
    msr32 SYSENTER_CS, FAST_CS
    one3 'lock', db 0xf0, 0x0f, 0x34
    try3 'stepped: TF is not cleared'
    mov qword [try_start], sysenter_entry
    flags_ EFL_TF | 2
    sysenter
    endtry
    ret

%macro exiting 1+
    returning %1
    mov ecx, user_top
%endmacro

sysexits:
    line64 'sysexit'
    exiting 'to 64-bit mode'
    o64 sysexit
    endtry0
    exiting 'to compatibility mode'
    sysexit
    endtry0
    exiting 'to compatibility mode, both cut'
    bts rcx, 35
    bts rdx, 35
    sysexit
    endtry0
    exiting 'flags stay'
    flags_ EFL_NT | EFL_IOPL3 | EFL_AC | 2
    o64 sysexit
    endtry0
    try 'rip not canonical'
    mov ecx, user_top
    mov rdx, HOLE
    o64 sysexit
    endtry0
    try 'rsp not canonical'
    mov edx, user_ud2
    nop
    nop
    mov rcx, HOLE
    o64 sysexit
    endtry0
    one3 'ring 3', db 0x48, 0x0f, 0x35
    onec 'compatibility mode', db 0x0f, 0x35
    msr32 SYSENTER_CS, 0
    one 'cs null', o64 sysexit
    msr32 SYSENTER_CS, FAST_CS
    ret
user_ud2:
    ud2

%macro show3 0
    say64 '  rax '
    hex64 rax, 16
    say64 ' rbx '
    hex64 rbx, 16
    say64 ' rcx '
    hex64 rcx, 16
    say64 10
%endmacro

cpu default
bases:
    line64 'fs and gs'
    msr32 GS_BASE, 0x11111111
    msr32 KERNEL_GS, 0x22222222
    try 'swapgs'
    mov ecx, GS_BASE
    rdmsr
    mov esi, eax
    swapgs
    rdmsr
    mov ebx, eax
    swapgs
    rdmsr
    mov ecx, eax
    mov eax, esi
    endtry0
    show3
    one3 'swapgs, ring 3', swapgs
    onec 'swapgs, compatibility mode', db 0x0f, 0x01, 0xf8
    one 'rdfsbase, FSGSBASE clear', rdfsbase rax
    mov rax, cr4
    or eax, CR4_FSGSBASE
    mov cr4, rax
    try 'wrfsbase, rdfsbase'
    mov rax, 0x123456789abc
    wrfsbase rax
    rdfsbase rbx
    mov rcx, -1
    rdfsbase ecx
    endtry0
    show3
    try 'wrfsbase of 32 bits'
    mov rax, -1
    wrfsbase eax
    rdfsbase rbx
    endtry0
    show3
    try 'wrgsbase not canonical'
    mov rax, HOLE
    wrgsbase rax
    endtry0
    one3 'rdgsbase, ring 3', rdgsbase rax
    onec 'rdfsbase, compatibility mode', db 0xf3, 0x0f, 0xae, 0xc0
    one 'rdfsbase of memory', db 0xf3, 0x0f, 0xae, 0x00
    xor eax, eax
    wrfsbase rax
    wrgsbase rax
    ret

BSS
    SYS64_BSS
            resb 1024
entry_top:
            resb 64
fast_top:
            resb 256
legacy_top:
            resb 64
seen:       resd 4
found_rsp:  resq 1
found_rcx:  resq 1
found_r11:  resq 1
ENDBSS
