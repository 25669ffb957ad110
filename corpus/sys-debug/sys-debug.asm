; Debug exceptions (Intel SDM volume 3, 17.2 and 17.3): single steps through every kind of instruction, breakpoints on
; execution, data and ports, what RF and the MOV SS shadow hold back, general detect, a task's T bit, DR6 and DR7.
; Every #DB of a case is listed as +offset:DR6 (its low half), `r` when the pushed image has RF set; the handler clears
; DR6 and goes on, with RF set in the image after a breakpoint on execution.

%define GUEST 'sys-debug'
%include "pvh.inc"
%include "sys32.inc"

CR4_DE      equ 8
EXEC        equ 0
WRITE       equ 1
PORT        equ 2
ACCESS      equ 3
LEN1        equ 0
LEN2        equ 1
LEN4        equ 3
GD          equ 0x2000
TSS_T       equ 0x48

; TF set; the next instruction is the first that traps.
%macro tf_on 0
    push dword EFL_TF | 2
    popfd
%endmacro
%macro tf_off 0
    push dword 2
    popfd
%endmacro

; A case that the hook lists.
%macro watch 1+
    try %1
%endmacro
%macro endwatch 0
%$stop:
%$resume:
    call disarm
    call try_end
%pop
%endmacro

; Arm breakpoint n: number, linear address, kind, length.
%macro arm 4
    push eax
    mov eax, %2
    mov dr%1, eax
    mov eax, dr7
    and eax, ~(0xf << (16 + %1 * 4))
    or eax, 2 << (%1 * 2) | (%3 | %4 << 2) << (16 + %1 * 4)
    mov dr7, eax
    pop eax
%endmacro

main:
    call sys_init
    outp 0x21, 0xff
    outp 0xa1, 0xff
    mov dword [try_hook], on_debug
    mov eax, 0xffff0ff0
    mov dr6, eax
    mov eax, 0x400
    mov dr7, eax
    idtgate_ 0x20, CODE32, on_int20, 0x8f00
    idtgate_ 0x21, CODE32, on_int20, 0xef00

    call registers
    call stepping
    call shadows
    call execution
    call data
    call ports
    call detect
    call task_trap
    mov dword [try_hook], 0
    report_rf
    ret

disarm:
    push eax
    mov eax, 0x400
    mov dr7, eax
    mov eax, 0xffff0ff0
    mov dr6, eax
    pop eax
    ret

; Called by the exception frame: EBX vector, ESI frame, EBP registers. #DB and #UD end here.
on_debug:
    cmp ebx, 1
    je .debug
    ret
.debug:
    say ' '
    lea esi, [ebp + 36]             ; never an error code, wherever the case's stack is
    mov eax, [esi]
    sub eax, [try_start]
    cmp eax, 0x100
    jb .near
    say '?'
    hex [esi], 8
    jmp .cause
.near:
    say '+'
    hex eax, 2
.cause:
    say ':'
    mov eax, dr6
    hex eax, 4
    test dword [esi + 8], EFL_RF
    jz .flags
    say 'r'
.flags:
    mov edx, eax
    mov eax, 0xffff0ff0
    mov dr6, eax
    test edx, 0x600f
    jz .return
    test edx, 0x4000
    jnz .return
    or dword [esi + 8], EFL_RF      ; after a breakpoint on execution, and harmless after the others
.return:
    inc dword [steps]
    cmp dword [steps], 2000
    jae .endless
    test dword [esi + 4], 3
    jz .ring0
    mov eax, USER_DATA
    mov ds, eax
    mov es, eax
.ring0:
    mov esp, ebp
    popad
    add esp, 4
    iretd
.endless:
    fail 'too many debug exceptions'

on_int20:
    iretd

registers:
    line 'registers'
    xor eax, eax
    mov dr6, eax
    mov eax, dr6
    say 'dr6 of 0 '
    hex eax, 8
    mov eax, -1
    mov dr6, eax
    mov eax, dr6
    say ', of ones '
    hex eax, 8
    say 10
    xor eax, eax
    mov dr7, eax
    mov eax, dr7
    say 'dr7 of 0 '
    hex eax, 8
    mov eax, 0x0000df00             ; no breakpoint, not GD
    mov dr7, eax
    mov eax, dr7
    say ', of others '
    hex eax, 8
    say 10
    mov eax, 0x12345678
    mov dr3, eax
    mov eax, dr3
    say 'dr3 '
    hex eax, 8
    mov eax, 0xffff0ff1
    mov dr6, eax
    db 0x0f, 0x21, 0xe0             ; MOV EAX, DR4
    say ' dr4 '
    hex eax, 8
    say 10
    call disarm
    ret

stepping:
    line 'single step'
    watch 'nop, jmp, call, ret'
    tf_on
    nop
    jmp short %$there
    nop
%$there:
    call %$sub
    tf_off
    jmp short %$after
%$sub:
    ret
%$after:
    endwatch
    watch 'jz taken, not taken, loop'
    xor eax, eax
    mov ecx, 2
    tf_on
    cmp al, al
    jz %$there
    nop
%$there:
    jnz %$resume
    loop $
    tf_off
    endwatch
    watch 'pushfd, popfd'
    tf_on
    pushfd
    pop eax
    pushfd
    popfd
    tf_off
    endwatch
    say 'image '
    and eax, ~0x8d5
    hex eax, 8
    say 10
    watch 'tf_off by popfd itself'
    push dword 2
    tf_on
    popfd
    nop
    nop
    endwatch
    watch 'rep movsb, three'
    mov esi, buffer
    mov edi, buffer + 16
    mov ecx, 3
    tf_on
    rep movsb
    tf_off
    endwatch
    watch 'rep movsb, none'
    xor ecx, ecx
    tf_on
    rep movsb
    tf_off
    endwatch
    watch 'repne scasb, found second'
    mov edi, buffer
    mov byte [buffer], 1
    mov byte [buffer + 1], 0
    xor eax, eax
    mov ecx, 5
    tf_on
    repne scasb
    tf_off
    endwatch
    watch 'rep outsb, two'
    mov esi, buffer
    mov edx, 0x80
    mov ecx, 2
    tf_on
    rep outsb
    tf_off
    endwatch
    watch 'int 20h, iret restores'
    tf_on
    int 0x20
    nop
    tf_off
    endwatch
    watch 'into, not taken'
    xor eax, eax
    tf_on
    into
    tf_off
    endwatch
    watch 'int1'
    tf_on
    int1
    tf_off
    endwatch
    watch 'far jmp, far call'
    tf_on
    jmp CODE32:%$there
%$there:
    call CODE32:%$sub
    tf_off
    jmp short %$after
%$sub:
    retf
%$after:
    endwatch
    watch 'iret to TF set'
    push dword EFL_TF | 2
    push cs
    push dword %$there
    iretd
%$there:
    nop
    tf_off
    endwatch
    watch 'iret of TF clear'
    push dword 2
    push cs
    push dword %$there
    tf_on
    iretd
%$there:
    nop
    endwatch
    watch 'in, out, cpuid, rdtsc'
    tf_on
    in al, 0x80
    out 0x80, al
    xor eax, eax
    cpuid
    rdtsc
    tf_off
    endwatch
    watch 'mov cr, mov dr, lgdt, wbinvd'
    tf_on
    mov eax, cr0
    mov cr0, eax
    mov eax, dr7
    mov dr7, eax
    lgdt [sys_gdt_pointer]
    wbinvd
    tf_off
    endwatch
    watch 'a fault is not stepped'
    tf_on
    nop
    ud2
    endwatch
    call disarm
    mov dword [try_flags], EFL_TF | 2
    try3 'ring 3'
    nop
    int 0x21
    nop
    endtry
    mov dword [try_flags], 2
    ret

shadows:
    line 'shadow of mov ss'
    watch 'mov ss'
    mov eax, DATA32
    tf_on
    mov ss, ax
    nop
    nop
    tf_off
    endwatch
    watch 'mov ds'
    mov eax, DATA32
    tf_on
    mov ds, ax
    nop
    tf_off
    endwatch
    watch 'pop ss'
    push ss
    push dword EFL_TF | 2
    popfd
    pop ss
    nop
    nop
    tf_off
    endwatch
    watch 'lss'
    mov [pointer], esp
    mov word [pointer + 4], DATA32
    tf_on
    lss esp, [pointer]
    nop
    nop
    push dword 2
    popfd
    endwatch
    watch 'mov ss, popfd that clears TF'
    mov eax, DATA32
    push dword 2
    tf_on
    mov ss, ax
    popfd
    nop
    nop
    endwatch
    watch 'sti'
    tf_on
    sti
    nop
    tf_off
    endwatch
    watch 'breakpoint behind mov ss'
    mov eax, DATA32
    arm 0, %$there, EXEC, LEN1
    mov ss, ax
%$there:
    nop
    nop
    endwatch
    watch 'breakpoint two behind mov ss'
    mov eax, DATA32
    arm 0, %$there, EXEC, LEN1
    mov ss, ax
    nop
%$there:
    nop
    endwatch
    watch 'breakpoint behind sti'
    arm 0, %$there, EXEC, LEN1
    sti
%$there:
    nop
    cli
    endwatch
    watch 'data of mov ss'
    mov dword [buffer], DATA32
    arm 0, buffer, ACCESS, LEN4
    mov ss, [buffer]
    nop
    nop
    endwatch
    watch 'data of mov ss, then int 20h'
    arm 0, buffer, ACCESS, LEN4
    mov ss, [buffer]
    int 0x20
    nop
    endwatch
    watch 'data of mov ss, then int1'
    arm 0, buffer, ACCESS, LEN4
    mov ss, [buffer]
    int1
    nop
    endwatch
    watch 'data of mov ss and of the next'
    arm 0, buffer, ACCESS, LEN4
    arm 1, buffer + 4, ACCESS, LEN4
    mov ss, [buffer]
    mov eax, [buffer + 4]
    nop
    endwatch
    ret

execution:
    line 'breakpoints on execution'
    watch 'those of before are cleared, other causes stay'
    mov eax, 0xffff8ff4
    mov dr6, eax
    arm 1, %$there, EXEC, LEN1
%$there:
    nop
    endwatch
    watch 'by a step, too'
    mov eax, 0xffff8ff4
    mov dr6, eax
    tf_on
    nop
    tf_off
    endwatch
    watch 'nop'
    arm 1, %$there, EXEC, LEN1
    nop
%$there:
    nop
    nop
    endwatch
    watch 'two of them, a jump'
    arm 2, %$there, EXEC, LEN1
    arm 3, %$there, EXEC, LEN1
    jmp short %$there
    nop
%$there:
    nop
    endwatch
    watch 'loop at the breakpoint'
    mov ecx, 3
    arm 0, %$there, EXEC, LEN1
%$there:
    loop %$there
    endwatch
    watch 'second byte'
    arm 0, %$there + 1, EXEC, LEN1
%$there:
    mov eax, 0x90909090
    endwatch
    watch 'at a prefix'
    arm 0, %$there, EXEC, LEN1
%$there:
    o16 nop
    endwatch
    watch 'behind a prefix'
    arm 0, %$there + 1, EXEC, LEN1
%$there:
    o16 nop
    endwatch
    watch 'rep stosb'
    mov edi, buffer
    mov ecx, 3
    arm 0, %$there, EXEC, LEN1
%$there:
    rep stosb
    endwatch
    watch 'not enabled'
    arm 0, %$there, EXEC, LEN1
    mov eax, 0x400
    mov dr7, eax
%$there:
    nop
    endwatch
    watch 'local enable'
    arm 0, %$there, EXEC, LEN1
    mov eax, 0x401
    mov dr7, eax
%$there:
    nop
    endwatch
    watch 'RF by iret'
    arm 0, %$there, EXEC, LEN1
    push dword EFL_RF | 2
    push cs
    push dword %$there
    iretd
%$there:
    nop
    endwatch
    watch 'RF lasts one instruction'
    arm 0, %$there, EXEC, LEN1
    push dword EFL_RF | 2
    push cs
    push dword %$before
    iretd
%$before:
    nop
%$there:
    nop
    endwatch
    watch 'popfd does not set RF'
    arm 0, %$there, EXEC, LEN1
    push dword EFL_RF | 2
    popfd
%$there:
    nop
    endwatch
    watch 'pushfd of RF'
    push dword EFL_RF | 2
    push cs
    push dword %$there
    iretd
%$there:
    pushfd
    pop eax
    endwatch
    say 'image '
    and eax, ~0x8d5
    hex eax, 8
    say 10
    watch 'int n with RF'
    arm 0, on_int20, EXEC, LEN1
    push dword EFL_RF | 2
    push cs
    push dword %$there
    iretd
%$there:
    int 0x20
    endwatch
    watch 'the breakpoint is an undefined instruction'
    arm 0, %$there, EXEC, LEN1
%$there:
    ud2
    endwatch
    call disarm
    arm 0, .user, EXEC, LEN1
    try3 'ring 3'
    nop
.user:
    nop
    endtry
    call disarm
    ret

data:
    line 'breakpoints on data'
    watch 'write'
    arm 0, buffer, WRITE, LEN4
    mov eax, [buffer]
    mov [buffer], eax
    nop
    endwatch
    watch 'access'
    arm 0, buffer, ACCESS, LEN4
    mov eax, [buffer]
    mov [buffer], eax
    nop
    endwatch
    watch 'around it'
    arm 0, buffer + 4, ACCESS, LEN4
    mov eax, [buffer]
    mov eax, [buffer + 8]
    mov al, [buffer + 3]
    mov al, [buffer + 4]
    mov al, [buffer + 7]
    mov al, [buffer + 8]
    mov eax, [buffer + 1]
    mov eax, [buffer + 7]
    nop
    endwatch
    watch 'length 1 and 2'
    arm 0, buffer + 1, ACCESS, LEN1
    arm 1, buffer + 4, ACCESS, LEN2
    mov eax, [buffer]
    mov ax, [buffer + 2]
    mov ax, [buffer + 3]
    mov ax, [buffer + 6]
    nop
    endwatch
    watch 'address not aligned'
    arm 0, buffer + 3, ACCESS, LEN4     ; the low bits do not count
    mov al, [buffer]
    mov al, [buffer + 4]
    nop
    endwatch
    watch 'two at once'
    arm 0, buffer, WRITE, LEN4
    arm 1, buffer + 2, ACCESS, LEN2
    mov [buffer], eax
    mov ax, [buffer + 2]
    nop
    endwatch
    watch 'add, xchg, cmpxchg, bts'
    arm 0, buffer, WRITE, LEN4
    add dword [buffer], 1
    xchg [buffer], eax
    mov eax, [buffer]
    cmpxchg [buffer], ecx
    bts dword [buffer], 1
    bt dword [buffer], 1
    nop
    endwatch
    arm 0, user_top - 4, ACCESS, LEN4
    try3 'push, pop, call, ret'
    push ebx
    pop ebx
    call .sub
    nop
    jmp short .after
.sub:
    ret
.after:
    nop
    endtry
    call disarm
    arm 0, user_top - 16, WRITE, LEN4
    try3 'pushad, popad'
    pushad
    popad
    nop
    endtry
    call disarm
    watch 'rep stosb, third of five'
    mov edi, buffer
    mov ecx, 5
    arm 0, buffer + 2, WRITE, LEN1
    rep stosb
    nop
    endwatch
    watch 'rep stosb, last'
    mov edi, buffer
    mov ecx, 3
    arm 0, buffer + 2, WRITE, LEN1
    rep stosb
    nop
    endwatch
    watch 'rep movsb, source'
    mov esi, buffer
    mov edi, buffer + 32
    mov ecx, 3
    arm 0, buffer + 1, ACCESS, LEN1
    rep movsb
    nop
    endwatch
    watch 'movsd, both'
    mov esi, buffer
    mov edi, buffer + 32
    arm 0, buffer, ACCESS, LEN4
    arm 1, buffer + 32, WRITE, LEN4
    movsd
    nop
    endwatch
    watch 'with a step'
    arm 0, buffer, WRITE, LEN4
    tf_on
    mov [buffer], eax
    tf_off
    endwatch
    watch 'fetching is no access'
    arm 0, %$there, ACCESS, LEN1
%$there:
    nop
    endwatch
    watch 'a fault before the access'
    arm 0, buffer, ACCESS, LEN4
    xor edx, edx
    xor ecx, ecx
    div ecx
    endwatch
    watch 'bound that faults'
    arm 0, buffer, ACCESS, LEN4
    mov dword [buffer + 4], 0
    mov dword [buffer], 0
    mov eax, 1
    bound eax, [buffer]
    endwatch
    watch 'fld, fst'
    arm 0, buffer, ACCESS, LEN4
    fninit
    fld qword [buffer]
    fstp qword [buffer - 4]
    nop
    endwatch
    watch 'jump behind the access'
    arm 0, pointer, ACCESS, LEN4
    mov dword [pointer], %$there    ; itself an access
    jmp [pointer]
    nop
%$there:
    nop
    endwatch
    ret

ports:
    line 'breakpoints on ports'
    mov eax, cr4
    or eax, CR4_DE
    mov cr4, eax
    watch 'in, out'
    arm 0, 0x80, PORT, LEN1
    in al, 0x80
    out 0x80, al
    in al, 0x81
    nop
    endwatch
    watch 'word across'
    arm 0, 0x81, PORT, LEN1
    in ax, 0x80
    in al, 0x80
    nop
    endwatch
    watch 'rep outsb'
    mov esi, buffer
    mov edx, 0x80
    mov ecx, 2
    arm 0, 0x80, PORT, LEN1
    rep outsb
    nop
    endwatch
    watch 'memory at that address'
    arm 0, 0x7000, PORT, LEN4
    mov eax, [0x7000]
    nop
    endwatch
    mov eax, cr4
    and eax, ~CR4_DE
    mov cr4, eax
    ret

detect:
    line 'general detect'
    watch 'mov from dr'
    mov eax, GD | 0x400
    mov dr7, eax
    mov eax, dr0
    mov eax, dr7
    endwatch
    say 'dr7 '
    hex eax, 8
    say 10
    watch 'mov to dr'
    mov eax, GD | 0x400
    mov dr7, eax
    mov dr7, eax
    mov eax, 0x400
    mov dr7, eax
    endwatch
    watch 'another #DB clears it'
    mov eax, GD | 0x400
    mov dr7, eax
    tf_on
    nop
    tf_off
    mov eax, dr7
    endwatch
    ret

; A task with T set: #DB after the switch, before its first instruction.
task_trap:
    line 'task switch'
    seg_ TSS_T, tss_t, 0x67, 0x89, 0
    mov edi, tss_t
    mov ecx, 26
    xor eax, eax
    rep stosd
    mov edi, tss_t
    mov dword [edi + 0x20], task_code
    mov dword [edi + 0x24], 2
    mov dword [edi + 0x38], task_top
    mov dword [edi + 0x48], DATA32
    mov dword [edi + 0x4c], CODE32
    mov dword [edi + 0x50], DATA32
    mov dword [edi + 0x54], DATA32
    mov dword [edi + 0x64], 0x680001
    watch 'T bit'
    mov dword [try_start], task_code
    arm 0, buffer, WRITE, LEN4
    mov eax, dr7
    or eax, 1
    mov dr7, eax
    mov dword [try_base], task_top
    call TSS_T:0
    mov eax, dr7
    mov [seen], eax
    endwatch
    say 'dr7 '
    hex [seen], 8                   ; local enables went with the switch
    say 10
    clts
    ret

task_code:
    nop
    iretd

BSS
    SYS32_BSS
    reserve_to
tss_t:   resb 104
    reserve_to
         resb 16
buffer:  resb 64
pointer: resd 2
steps:   resd 1
seen:    resd 1
         resb 1024
task_top:
ENDBSS
