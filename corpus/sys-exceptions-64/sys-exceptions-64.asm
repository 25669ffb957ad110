; Exceptions of IA-32e mode (Intel SDM volume 3, 6.14; volume 2): what 64-bit mode no longer has, addresses that are not
; canonical in every use, frames and their alignment, interrupt stacks, gates of 16 bytes, system descriptors, returns,
; call gates, control registers, 4-level paging, rings 0 and 3, and compatibility mode beside it.

%define GUEST 'sys-exceptions-64'
%include "pvh.inc"
%include "sys64.inc"

CODE_BOTH   equ FREE_SEL            ; code with L and D
CODE_GONE   equ FREE_SEL + 8
GATE        equ FREE_SEL + 16       ; 16 bytes
TSS_OTHER   equ FREE_SEL + 32       ; 16 bytes
DATA_GONE   equ FREE_SEL + 48
CONF64      equ FREE_SEL + 56
DATA_GONE3  equ FREE_SEL + 72 | 3
CODE32_R3   equ USER_CODE

NC          equ 0x1234000000000000  ; not canonical, and low enough to be an immediate's sum

bits 32
main:
    jmp sys64_enter

bits 64
main64:
    xor eax, eax
    mov cr2, rax
    mov dr7, rax
    mov eax, 0xffff0ff0
    mov dr6, rax
    fninit
    seg_ CODE_BOTH, 0, 0xfffff, ACC_CODE, 0xe
    seg_ CODE_GONE, 0, 0xfffff, ACC_CODE & 0x7f, 0xa
    seg_ DATA_GONE, 0, 0xfffff, 0x13, 0xc
    seg_ DATA_GONE3 & ~3, 0, 0xfffff, 0x73, 0xc
    seg_ CONF64, 0, 0xfffff, 0x9f, 0xa

    call plain
    call gone
    call canonical
    call registers
    call segments
    call frames
    call gates
    call returns
    call call_gates
    call paging
    call ring3
    call compatibility
    report_rf
    ret

plain:
    line64 'ring 0'
    try 'div zero'
    xor ecx, ecx
    div rcx
    endtry0
    try 'idiv too large'
    mov rax, 0x8000000000000000
    cqo
    mov rcx, -1
    idiv rcx
    endtry0
    one 'int1', int1
    one 'int3', int3
    one 'int 3', db 0xcd, 3
    one 'int 13', db 0xcd, 13
    one 'int 20h', int 0x20
    one 'ud2', ud2
    one 'lock mov', db 0xf0, 0x89, 0x00
    try 'cmpxchg16b misaligned'
    cmpxchg16b [buffer + 8]
    endtry0
    one 'movaps misaligned', movaps xmm0, [buffer + 4]
    one 'fifteen bytes', db 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x48, 0x90
    try 'sixteen bytes'
    db 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x48, 0x90
    endtry0
    try 'a REX before another prefix is nothing'
    mov rcx, -1
    db 0x48, 0x66, 0xff, 0xc1       ; INC CX
    endtry0
    say64 '  rcx '
    hex64 rcx, 16
    say64 10
    ret

; Opcodes of the other modes.
gone:
    line64 'not in 64-bit mode'
%macro undefined 2+
    try %1
    db %2, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90
    endtry0
%endmacro
    undefined 'push es', 0x06
    undefined 'push ss', 0x16
    undefined 'pop ds', 0x1f
    undefined 'daa', 0x27
    undefined 'aas', 0x3f
    undefined 'pusha', 0x60
    undefined 'popa', 0x61
    undefined 'bound', 0x62, 0x00
    undefined 'group 1, 82', 0x82, 0xc0, 0
    undefined 'call far', 0x9a
    undefined 'jmp far', 0xea
    undefined 'les', 0xc4, 0x00
    undefined 'lds', 0xc5, 0x00
    undefined 'into', 0xce
    undefined 'aam', 0xd4, 10
    undefined 'aad', 0xd5, 10
    undefined 'salc', 0xd6
    ret

canonical:
    line64 'addresses that are not canonical'
    mov rbx, HOLE
    mov r12, -1
    shl r12, 48
    mov rdx, NC
    one 'read', mov rax, [rbx]
    one 'write', mov [rbx], al
    one 'read, upper half', mov rax, [r12 - 1]
    one 'add', add qword [rdx], 1
    try 'last byte across the hole'
    mov rcx, EDGE + 0xff9
    mov rax, [rcx]
    endtry0
    try 'the last bytes below it'
    mov rcx, EDGE + 0xff8
    mov rax, [rcx]
    endtry0
    try 'through rbp'
    mov rbp, HOLE
    mov rax, [rbp]
    endtry0
    try 'through rsp'
    mov rcx, rsp
    mov rsp, HOLE
    mov rax, [rsp]
    endtry0
    try3 'push, ring 3'
    mov rsp, HOLE
    push rax
    ud2
    endtry
    try3 'push above it, ring 3'
    mov rsp, HOLE + 8
    push rax
    endtry
    try3 'pop, ring 3'
    mov rsp, HOLE
    pop rax
    endtry
    try3 'ret, ring 3'
    mov rsp, HOLE
    ret
    endtry
    try3 'call, ring 3'
    mov rsp, HOLE + 4
    call near .never
.never:
    endtry
    try3 'enter, ring 3'
    mov rsp, HOLE + 8
    enter 16, 0
    endtry
    try3 'leave, ring 3'
    mov rbp, HOLE
    leave
    endtry
    try 'rep movsb, source'
    mov rsi, HOLE
    mov edi, buffer
    mov ecx, 3
    rep movsb
    endtry0
    try 'rep stosb, over the edge'
    mov rdi, HOLE - 2
    mov ecx, 5
    rep stosb
    endtry0
    say64 '  rcx '
    hex64 rcx, 2
    say64 ' rdi '
    hex64 rdi, 16
    say64 10
    one 'jmp', jmp rbx
    one 'call', call rbx
    try 'jmp by memory'
    mov [buffer], rbx
    jmp [buffer]
    endtry0
    try3 'ret to it, ring 3'
    mov rax, HOLE
    push rax
    ret
    endtry
    try3 'far ret to it, ring 3'
    push qword USER_CODE64
    mov rax, HOLE
    push rax
    retfq
    endtry
    try 'far jmp to it'
    mov [buffer], rbx
    mov word [buffer + 8], CODE64
    db 0x48
    jmp far [buffer]
    endtry0
    ; Running into the hole.
    mov rax, EDGE
    mov word [rax + 0xffe], 0x9090
    try 'runs into it'
    mov rax, EDGE + 0xffe
    jmp rax
    endtry0
    mov rax, EDGE
    mov dword [rax + 0xffc], 0x04eb9090 ; JMP over the edge
    try 'jumps into it'
    mov rax, EDGE + 0xffc
    jmp rax
    endtry0
    mov rax, EDGE
    mov dword [rax + 0xffc], 0xb8909090 ; MOV EAX, imm32
    try 'an instruction across it'
    mov rax, EDGE + 0xfff
    jmp rax
    endtry0
    try 'fs base and offset'
    mov ecx, 0xc0000100
    xor eax, eax
    mov edx, 0x7fff
    wrmsr
    mov rbx, 0x200000000
    mov rax, [fs:rbx]
    endtry0
    mov ecx, 0xc0000100
    xor eax, eax
    xor edx, edx
    wrmsr
    mov rbx, HOLE
    one 'invlpg', invlpg [rbx]
    one 'lea', lea rax, [rbx + 8]
    one 'nop', nop dword [rbx]
    one 'prefetch', prefetchnta [rbx]
    one 'clflush', clflush [rbx]
    try 'moffs'
    db 0x48, 0xa1
    dq HOLE
    endtry0
    try 'xlat'
    mov al, 1
    xlatb
    endtry0
    try 'fxsave, end in it'
    mov rcx, EDGE + 0xf00
    fxsave [rcx]
    endtry0
    one 'lgdt of it', lgdt [rbx]
    ; Registers that hold addresses.
%macro noncanonical_msr 2
    try %1
    mov ecx, %2
    xor eax, eax
    mov edx, 0x8000
    wrmsr
    endtry0
%endmacro
    noncanonical_msr 'FS_BASE', 0xc0000100
    noncanonical_msr 'GS_BASE', 0xc0000101
    noncanonical_msr 'KERNEL_GS_BASE', 0xc0000102
    noncanonical_msr 'LSTAR', 0xc0000082
    noncanonical_msr 'CSTAR', 0xc0000083
    noncanonical_msr 'SYSENTER_EIP', 0x176
    noncanonical_msr 'SYSENTER_ESP', 0x175
    ret

registers:
    line64 'control and debug registers'
    try 'cr0, upper half'
    mov rax, cr0
    mov ecx, 1
    shl rcx, 32
    or rax, rcx
    mov cr0, rax
    endtry0
    try 'cr8, 16'
    mov eax, 16
    mov cr8, rax
    endtry0
    try 'cr8, 15'
    mov eax, 15
    mov cr8, rax
    mov rcx, cr8
    xor eax, eax
    mov cr8, rax
    endtry0
    say64 '  cr8 '
    hex64 rcx, 2
    say64 10
    one 'cr9', db 0x44, 0x0f, 0x20, 0xc8
    one 'cr5', db 0x0f, 0x20, 0xe8
    one 'dr8', db 0x44, 0x0f, 0x21, 0xc0
    try 'dr7, upper half'
    mov rax, 0x100000400
    mov dr7, rax
    endtry0
    try 'dr6, upper half'
    mov rax, 0x100000000
    mov dr6, rax
    endtry0
    try 'cr2 keeps anything'
    mov rax, NC
    mov cr2, rax
    mov rcx, cr2
    endtry0
    say64 '  cr2 '
    hex64 rcx, 16
    say64 10
    one 'xsetbv', db 0x0f, 0x01, 0xd1
    one 'rdpid, undefined', db 0xf3, 0x0f, 0xc7, 0xf8
    ret

segments:
    line64 'segments'
    try 'ss null, ring 0'
    xor eax, eax
    mov ss, eax
    endtry0
    try 'ss null, RPL 3, ring 0'
    mov eax, 3
    mov ss, eax
    endtry0
    xor eax, eax
    mov ss, eax
    try 'ds not present'
    mov eax, DATA_GONE
    mov ds, eax
    endtry0
    try 'ss not present'
    mov eax, DATA_GONE
    mov ss, eax
    endtry0
    try 'es null is used all the same'
    xor eax, eax
    mov es, eax
    db 0x26
    mov al, [buffer]
    endtry0
    try 'cs override writes'
    db 0x2e
    mov [buffer], al
    endtry0
    try 'limits do not count'
    seg_ FREE_SEL + 64, 0, 0xf, ACC_DATA, 4
    mov eax, FREE_SEL + 64
    mov ds, eax
    mov fs, eax
    mov al, [buffer]
    mov al, [fs:buffer]
    xor eax, eax
    mov ds, eax
    mov fs, eax
    endtry0
    try 'ltr busy'
    mov eax, SYS_TSS
    ltr ax
    endtry0
    try 'ltr of 8 bytes at the end of the table'
    seg_ 0x1f8, 0, 0x67, 0x89, 0
    mov eax, 0x1f8
    ltr ax
    endtry0
    try 'ltr, base not canonical'
    seg_ TSS_OTHER, 0, 0x67, 0x89, 0
    mov dword [sys_gdt + TSS_OTHER + 8], 0x12340000
    mov eax, TSS_OTHER
    ltr ax
    endtry0
    try 'ltr, type in the upper half'
    mov dword [sys_gdt + TSS_OTHER + 8], 0
    mov dword [sys_gdt + TSS_OTHER + 12], 0x1f00
    mov eax, TSS_OTHER
    ltr ax
    endtry0
    mov dword [sys_gdt + TSS_OTHER + 12], 0
    try 'ltr of a 16-bit TSS'
    mov byte [sys_gdt + TSS_OTHER + 5], 0x81
    mov eax, TSS_OTHER
    ltr ax
    endtry0
    mov byte [sys_gdt + SYS_TSS + 5], 0x89 ; in case one of these was taken
    mov eax, SYS_TSS
    ltr ax
    try 'lldt of data'
    mov eax, DATA32
    lldt ax
    endtry0
    one 'jmp to TSS', jmp far [.tss]
    ret
align 8
.tss: dq 0
      dw SYS_TSS

; What is pushed, where, and how it is aligned.
frames:
    line64 'frames'
%assign misaligned 0
%rep 4
    try 'rsp off by ', '0' + misaligned
    sub rsp, misaligned
    ud2
    endtry0
%assign misaligned misaligned + 3
%endrep
    idtgate_ 6, CODE64, sys_stubs + 6 * 8, 0x8e, 1
    one 'stack 1', ud2
    one3 'stack 1, ring 3', ud2
    idtgate_ 6, CODE64, sys_stubs + 6 * 8, 0x8e, 2
    one 'stack 2', ud2
    idtgate_ 6, CODE64, sys_stubs + 6 * 8, 0x8f, 0
    try 'trap gate with IF'
    outp 0x21, 0xff
    outp 0xa1, 0xff
    sti
    ud2
    endtry0
    idtgate_ 13, CODE64, sys_stubs + 13 * 8, 0x8e, 3
    try '#GP on stack 3'
    mov rax, HOLE
    mov rax, [rax]
    endtry0
    idtgate_ 13, CODE64, sys_stubs + 13 * 8, 0x8e, 0
    ; Stacks that are not canonical.
    idtgate_ 12, CODE64, sys_stubs + 12 * 8, 0x8e, 3
    idtgate_ 6, CODE64, sys_stubs + 6 * 8, 0x8e, 2
    mov rax, HOLE + 0x1000
    mov [sys_tss + 0x2c], rax
    one 'stack 2 not canonical', ud2
    mov qword [sys_tss + 0x2c], ist2_top
    idtgate_ 6, CODE64, sys_stubs + 6 * 8, 0x8e, 0
    mov [sys_tss + 4], rax
    one3 'rsp0 not canonical', ud2
    mov qword [sys_tss + 4], rsp0_top
    idtgate_ 12, CODE64, sys_stubs + 12 * 8, 0x8e, 0
    ; The same with everything on it: #DF on its own stack.
    idtgate_ 8, CODE64, sys_stubs + 8 * 8, 0x8e, 3
    mov rax, HOLE + 0x1000
    mov [sys_tss + 4], rax
    one3 'rsp0 not canonical, #SS too', ud2
    mov qword [sys_tss + 4], rsp0_top
    ; A stack that is not present.
    mov rax, 0x100000000000
    mov [sys_tss + 4], rax
    idtgate_ 14, CODE64, sys_stubs + 14 * 8, 0x8e, 2
    one3 'rsp0 absent', ud2
    idtgate_ 14, CODE64, sys_stubs + 14 * 8, 0x8e, 0
    one3 'rsp0 absent, #PF too', ud2
    mov qword [sys_tss + 4], rsp0_top
    idtgate_ 8, CODE64, sys_stubs + 8 * 8, 0x8e, 0
    ret

gates:
    line64 'gates'
%macro gate_case 2
    idtgate_ 0x21, CODE64, sys_stubs, %2, 0
    one %1, int 0x21
%endmacro
    gate_case 'not present', 0x0e
    gate_case 'task gate', 0x85
    gate_case '16-bit interrupt gate', 0x86
    gate_case '16-bit trap gate', 0x87
    gate_case 'call gate', 0x8c
    idtgate_ 0x21, CODE32, sys_stubs, 0x8e, 0
    one '32-bit code', int 0x21
    idtgate_ 0x21, CODE_BOTH, sys_stubs, 0x8e, 0
    one 'L and D', int 0x21
    idtgate_ 0x21, CODE_GONE, sys_stubs, 0x8e, 0
    one 'code not present', int 0x21
    idtgate_ 0x21, 0, sys_stubs, 0x8e, 0
    one 'null', int 0x21
    idtgate_ 0x21, USER_CODE64, sys_stubs, 0x8e, 0
    one 'DPL 3', int 0x21
    mov rax, HOLE
    push qword 0
    push qword 0x8e
    push rax
    push qword CODE64
    push qword 0x21
    call set_gate64
    one 'offset not canonical', int 0x21
    lidt [short_idt]
    one 'beyond the table', int 0x21
    lidt [sys_idt_pointer]
    idtgate_ 6, CODE64, sys_stubs + 6 * 8, 0x0e, 0
    one 'ud2, not present', ud2
    idtgate_ 6, CODE64, sys_stubs + 6 * 8, 0x86, 0
    one 'ud2, 16-bit gate', ud2
    idtgate_ 6, CODE64, sys_stubs + 6 * 8, 0x8e, 0
    idtgate_ 0, CODE64, sys_stubs, 0x0e, 0
    try 'div, not present'
    xor ecx, ecx
    div ecx
    endtry0
    idtgate_ 0, CODE64, sys_stubs, 0x8e, 0
    ret

returns:
    line64 'iretq'
%macro frame 5
    push qword %5
    push qword %4
    push qword %3
    push qword %2
    push qword %1
%endmacro
%macro bad_iret 6
    try %1
    mov r10, %2
    frame r10, %3, %4, %5, %6
    iretq
    endtry0
%endmacro
    try 'same ring pops the stack too'
    mov rax, rsp
    sub rax, 0x40
    frame %$there, CODE64, 2, rax, 0
    iretq
%$there:
    ud2
    endtry0
    bad_iret 'rip not canonical', HOLE, CODE64, 2, user_top, 0
    bad_iret 'cs null', 0, 0, 2, user_top, 0
    bad_iret 'cs data', 0, DATA32, 2, user_top, 0
    bad_iret 'cs L and D', 0, CODE_BOTH, 2, user_top, 0
    bad_iret 'cs not present', 0, CODE_GONE, 2, user_top, 0
    bad_iret 'ss null to ring 3', user_ud2, USER_CODE64, 2, user_top, 0
    bad_iret 'ss null, RPL 3, to ring 3', user_ud2, USER_CODE64, 2, user_top, 3
    bad_iret 'ss null to 32-bit ring 0', user_ud2, CODE32, 2, user_top, 0
    bad_iret 'ss null, RPL 3, to ring 0', user_ud2, CODE64, 2, user_top, 3
    bad_iret 'ss RPL 0', user_ud2, USER_CODE64, 2, user_top, DATA32
    bad_iret 'ss not present', user_ud2, USER_CODE64, 2, user_top, DATA_GONE3
    bad_iret 'ss beyond the table', user_ud2, USER_CODE64, 2, user_top, 0x7ff8 | 3
    try 'NT set'
    frame user_ud2, CODE64, 2, 0, 0
    push qword EFL_NT | 2
    popfq
    iretq
    endtry0
    try 'rsp not canonical'
    mov r10, HOLE
    mov qword [try_start], user_ud2
    frame user_ud2, USER_CODE64, 2, r10, USER_DATA
    iretq
    endtry0
    try 'VM in the image'
    mov qword [try_start], user_ud2
    frame user_ud2, USER_CODE64, 0x20002, user_top, USER_DATA
    iretq
    endtry0
    try 'iretd'
    mov qword [try_start], user_ud2
    sub rsp, 20
    mov dword [rsp], user_ud2
    mov dword [rsp + 4], USER_CODE64
    mov dword [rsp + 8], 2
    mov dword [rsp + 12], user_top
    mov dword [rsp + 16], USER_DATA
    iretd
    endtry0
    line64 'retfq'
    try 'to ring 3'
    mov qword [try_start], user_ud2
    push qword USER_DATA
    push qword user_top
    push qword USER_CODE64
    push qword user_ud2
    retfq
    endtry0
    try 'to compatibility mode'
    mov qword [try_start], user_ud2
    push qword USER_DATA
    push qword user_top
    push qword USER_CODE
    push qword user_ud2
    retfq
    endtry0
    try 'same ring'
    push qword CODE64
    push qword %$there
    retfq
%$there:
    ud2
    endtry0
    ret
user_ud2:
    ud2

call_gates:
    line64 'call gates, ring 3'
%macro gate64 3-4 0
    mov eax, %3
    mov edi, sys_gdt + GATE
    mov [rdi], ax
    mov word [rdi + 2], %2
    mov byte [rdi + 4], 0
    mov byte [rdi + 5], %1
    shr eax, 16
    mov [rdi + 6], ax
    mov dword [rdi + 8], 0
    mov dword [rdi + 12], %4
%endmacro
    gate64 0xec, CODE64, through
    try3 'to ring 0'
    call far [.pointer]
    ud2
    endtry
    gate64 0xec, CONF64, through_conforming
    try3 'to conforming'
    call far [.pointer]
    ud2
    endtry
    gate64 0x8c, CODE64, through
    one3 'gate for ring 0', call far [.pointer]
    gate64 0x6c, CODE64, through
    one3 'not present', call far [.pointer]
    gate64 0xec, CODE32, through
    one3 'to 32-bit code', call far [.pointer]
    gate64 0xe4, CODE64, through
    one3 '16-bit gate', call far [.pointer]
    gate64 0xe5, SYS_TSS, 0
    one3 'task gate', call far [.pointer]
    gate64 0xec, CODE64, through, 0x1f00
    one3 'type in the upper half', call far [.pointer]
    gate64 0xec, CODE64, through
    mov dword [sys_gdt + GATE + 8], 0x8000
    one3 'offset not canonical', call far [.pointer]
    gate64 0xec, 0, through
    one3 'null', call far [.pointer]
    gate64 0xec, CODE64, through
    one3 'jmp to an inner ring', jmp far [.pointer]
    mov rax, HOLE + 0x1000
    mov [sys_tss + 4], rax
    idtgate_ 12, CODE64, sys_stubs + 12 * 8, 0x8e, 3
    one3 'rsp0 not canonical', call far [.pointer]
    idtgate_ 12, CODE64, sys_stubs + 12 * 8, 0x8e, 0
    mov qword [sys_tss + 4], rsp0_top
    ret
align 8
.pointer: dq 0
          dw GATE | 3

; Arrived in ring 0: the four words on RSP0.
through:
    say64 ' cs='
    mov eax, cs
    hex64 rax, 4
    say64 ' ss='
    mov eax, ss
    hex64 rax, 4
    say64 ' ['
    mov rax, [rsp]
    sub rax, [try_start]
    hex64 rax, 2
    say64 ' '
    hex64 [rsp + 16], 4             ; CS: one push further
    say64 ' u-'
    mov rax, user_top
    sub rax, [rsp + 16]
    hex64 rax, 2
    say64 ' '
    hex64 [rsp + 32], 4             ; one push further
    say64 ']'
    db 0x48
    retf
through_conforming:
    mov [buffer], cs
    db 0x48
    retf

; What 4-level paging adds.
paging:
    line64 '4-level paging'
    mov rbx, 0x0000123456789abc
    one 'no PML4 entry', mov al, [rbx]
    mov rbx, 0xffff800000000123
    one 'upper half', mov [rbx], al
    one3 'upper half, ring 3', mov [rbx], al
    mov rbx, 0xffffffffffffffff
    one 'the last byte', mov al, [rbx]
    one 'over the end', mov ax, [rbx]
    mov qword [pml4 + 256 * 8], edge_pdpt + 0x87
    mov rax, cr3
    mov cr3, rax
    mov rbx, 0xffff807fffffffff
    one 'PS in the PML4 entry', mov al, [rbx]
    mov rax, 0x0008000000000007 + edge_pdpt
    mov [pml4 + 256 * 8], rax
    mov rax, cr3
    mov cr3, rax
    one 'bit 51 of the PML4 entry', mov al, [rbx]
    mov rax, 0x0010000000000007 + edge_pdpt
    mov [pml4 + 256 * 8], rax
    mov rax, cr3
    mov cr3, rax
    one 'bit 52 is ignored', mov al, [rbx]
    mov rax, 0x8000000000000007 + edge_pdpt
    mov [pml4 + 256 * 8], rax
    mov rax, cr3
    mov cr3, rax
    mov byte [edge_page + 0xffe], 0x90
    try 'NX in the PML4 entry'
    mov rax, 0xffff807ffffffffe
    jmp rax
    endtry0
    mov dword [pml4 + 256 * 8], edge_pdpt + 3
    mov dword [pml4 + 256 * 8 + 4], 0
    mov rax, cr3
    mov cr3, rax
    one3 'supervisor PML4 entry, ring 3', mov al, [rbx]
    mov dword [pml4 + 256 * 8], edge_pdpt + 5
    mov rax, cr3
    mov cr3, rax
    one 'read-only PML4 entry', mov [rbx], al
    mov qword [pml4 + 256 * 8], edge_pdpt + 7
    mov qword [edge_pdpt], 0x87         ; a page of 1 GiB: reserved without CPUID.PDPE1GB
    mov rax, cr3
    mov cr3, rax
    mov rbx, 0xffff800000001000
    one 'PS in the PDPT entry', mov al, [rbx]
    mov qword [edge_pdpt], 0
    ; 32-bit addresses in 64-bit mode stay below 4 GiB.
    try 'address size 32'
    mov rbx, 0x100000000
    mov rax, [ebx + buffer]
    endtry0
    try 'address size 32, around'
    mov ebx, 0xffffffff
    mov al, [ebx + buffer + 1]
    endtry0
    try 'address size 64, not around'
    mov ebx, 0xffffffff
    mov al, [rbx + buffer + 1]
    endtry0
    ret

ring3:
    line64 'ring 3'
    one3 'ud2', ud2
    one3 'int 20h, gate for ring 0', int 0x20
    one3 'int3, gate for ring 0', int3
    one3 'int1', int1
    one3 'cli', cli
    one3 'hlt', hlt
    one3 'in', in al, 0x80
    one3 'mov rax, cr0', mov rax, cr0
    one3 'mov cr8, rax', mov cr8, rax
    one3 'mov rax, dr0', mov rax, dr0
    one3 'swapgs', swapgs
    one3 'rdmsr', rdmsr
    one3 'sysretq', db 0x48, 0x0f, 0x07
    one3 'invlpg', invlpg [buffer]
    one3 'lgdt', lgdt [buffer]
    one3 'ss null', mov ss, [zero]
    one3 'rdfsbase', db 0xf3, 0x48, 0x0f, 0xae, 0xc0
    mov rax, cr0
    or eax, 0x40000
    mov cr0, rax
    mov qword [try_flags], EFL_AC | 2
    one3 'misaligned qword, AC', mov rax, [buffer + 4]
    one3 'misaligned push, AC', push qword [buffer + 1]
    mov qword [try_flags], 2
    mov rax, cr0
    and eax, ~0x40000
    mov cr0, rax
    ret

compatibility:
    line64 'compatibility mode'
    onec 'ud2', ud2
    try_compat 'div zero'
    xor ecx, ecx
    div ecx
    endtry
    try_compat 'into'
    mov al, 0x7f
    inc al
    into
    endtry
    try_compat 'bound'
    mov eax, 5
    mov dword [buffer], 0
    mov dword [buffer + 4], 1
    bound eax, [buffer]
    endtry
    onec 'aam 0', aam 0
    onec 'pusha, popa', pushad
    onec 'int 20h, gate for ring 0', int 0x20
    onec 'cli', cli
    onec 'swapgs', db 0x0f, 0x01, 0xf8
    onec 'sysret', db 0x0f, 0x07
    onec 'mov eax, cr0', mov eax, cr0
    onec 'inc eax, where 64-bit mode has REX', db 0x40
    try_compat 'far jump to 64-bit mode'
    jmp USER_CODE64:.wide
.wide:
    db 0x48, 0x89, 0xe0             ; MOV RAX, RSP
    ud2
    endtry
    try_compat 'far jump to ring 0'
    jmp CODE64:0
    endtry
    try_compat 'es null'
    xor eax, eax
    mov es, eax
    mov al, [es:buffer]
    endtry
    try_compat 'esp wraps at 4 GiB'
    mov esp, 2
    push eax
    endtry
    try_compat 'task switch'
    jmp SYS_TSS:0
    endtry
    try_compat 'NT and iret'
    push dword EFL_NT | 2
    popfd
    push dword 2
    push dword USER_CODE
    push dword .wide
    iretd
    endtry
    ret

short_idt:
    dw 0x21 * 16 + 14
    dq sys_idt
zero:
    dq 0

BSS
    SYS64_BSS
buffer: resb 1024
ENDBSS
