; Hardware tasks (Intel SDM volume 3, chapter 8: JMP, CALL and IRET with a TSS, back link, NT, busy bits, CR0.TS, a task
; gate, the fault for a busy TSS) and a virtual-8086 task (chapter 21) under a monitor: INT reflected through the
; 8086 vector table, IRET, CLI, STI, PUSHF and POPF emulated, I/O let through or trapped by the permission bitmap,
; a segment limit violation, timer interrupts taken in the middle.

%define GUEST 'tasks-v86'
%include "pvh.inc"
%include "idt.inc"

V86_BASE equ 0x8000                 ; the 8086 program, CS 0x0800
VM       equ 0x20000
IF       equ 0x200

; Fill a TSS: eip, esp, eflags; flat segments.
%macro task 4
    mov edi, %1
    mov dword [edi + 4], %1_stack
    mov dword [edi + 8], DATA32
    mov dword [edi + 0x20], %2
    mov dword [edi + 0x24], %4
    mov dword [edi + 0x38], %3
    mov dword [edi + 0x4c], CODE32
    mov dword [edi + 0x48], DATA32
    mov dword [edi + 0x50], DATA32
    mov dword [edi + 0x54], DATA32
    mov dword [edi + 0x58], DATA32
    mov dword [edi + 0x5c], DATA32
    mov word [edi + 0x66], 0x68     ; bitmap base: at the limit, nothing is allowed
%endmacro

; Put a TSS descriptor into the GDT: selector, base, limit.
%macro descriptor 3
    mov edi, gdt + %1
    mov eax, %2
    mov word [edi], %3
    mov [edi + 2], ax
    shr eax, 16
    mov [edi + 4], al
    mov byte [edi + 5], 0x89
    mov [edi + 7], ah
%endmacro

main:
    call idt_init
    call pic_init
    descriptor TSS0, tss0, 0x67
    descriptor TSS1, tss1, 0x67
    descriptor TSS2, tss2, 0x67
    descriptor TSS3, tss3, bitmap_end - tss3 - 1
    task tss0, 0, 0, 2
    task tss1, task_one, tss1_stack - 256, 0x402    ; DF set
    task tss2, task_two, tss2_stack - 256, 2
    mov ax, TSS0
    ltr ax
    call busy

    mov ebx, 0x600dcafe
    mov esi, 0x12345678
    jmp TSS1:0
    say 'main: back by jmp, ebx '
    hex ebx, 8
    say ' esi '
    hex esi, 8
    call task_switched
    call busy

    call TSS1:0
    say 'main: back by iret'
    call task_switched
    call busy

    ; A task gate at vector 0x30.
    mov dword [idt + 0x30 * 8], TSS2 << 16
    mov dword [idt + 0x30 * 8 + 4], 0x8500
    int 0x30
    say 'main: back from the gate'
    call task_switched

    ; Its own TSS is busy: #GP with its selector.
    gate 13, on_gp
    jmp TSS0:0
    say 'busy tss: error '
    hex [gp_error], 8
    say 10

    ; The 8086 task.
    mov esi, v86
    mov edi, V86_BASE
    mov ecx, v86_end - v86
    rep movsb
    mov dword [0x60 * 4], (V86_BASE >> 4) << 16 | (v86_int60 - v86)
    task tss3, 0, 0xfffe, VM | IF | 2
    mov edi, tss3
    mov eax, V86_BASE >> 4
    mov [edi + 0x4c], eax
    mov [edi + 0x48], eax
    mov [edi + 0x54], eax
    mov dword [edi + 0x58], 0x1234
    mov dword [edi + 0x5c], 0x5678
    mov dword [edi + 0x50], 0x1000
    mov word [edi + 0x66], bitmap - tss3
    mov edi, bitmap                 ; deny everything but COM1
    mov ecx, bitmap_end - bitmap
    mov al, 0xff
    rep stosb
    mov byte [bitmap + COM1 / 8], 0
    gate 13, monitor
    gate 0x20, tick
    outp 0x43, 0x34
    outp 0x40, 1193 & 0xff
    outp 0x40, 1193 >> 8
    outp 0x21, 0xfe
    mov ebx, 0xabcd
    jmp TSS3:0
    outp 0x21, 0xff
    say 'main: back from the 8086 task'
    call task_switched
    call busy
    say 'traps: int '
    dec_ [count_int]
    say ' iret '
    dec_ [count_iret]
    say ' cli/sti '
    dec_ [count_if]
    say ' pushf/popf '
    dec_ [count_flags]
    say ' io '
    dec_ [count_io]
    say ' limit '
    dec_ [count_limit]
    say 10
    cmp dword [v86_ticks], 3
    jae .ticks
    fail 'no tick in the 8086 task'
.ticks:
    ret

; Type bytes of the four TSS descriptors: 9 free, b busy.
busy:
    say 'tss types'
    push eax
    push ecx
    xor ecx, ecx
.next:
    say ' '
    movzx eax, byte [gdt + TSS0 + ecx * 8 + 5]
    hex eax, 2
    inc ecx
    cmp ecx, 4
    jb .next
    say 10
    pop ecx
    pop eax
    ret

; CR0.TS was set by the switch; clear it.
task_switched:
    push eax
    say ' ts '
    mov eax, cr0
    shr eax, 3
    and eax, 1
    dec_ eax
    clts
    say 10
    pop eax
    ret

; Entered by JMP first, by CALL the second time: the loop goes on where it left.
task_one:
    pushfd
    pop eax
    cld
    say 'one: flags '
    hex eax, 4
    say ' ebx '
    hex ebx, 8
    say ' link '
    hex [tss1], 4
    say 10
    call busy
    mov ebx, 0x0b0b0b0b
    jmp TSS0:0
    pushfd
    pop eax
    say 'one: flags '
    hex eax, 4
    say ' ebx '
    hex ebx, 8
    say ' link '
    hex [tss1], 4
    say 10
    call busy
    iretd

task_two:
    say 'two: link '
    hex [tss2], 4
    say ' saved eip of main '
    mov eax, [tss0 + 0x20]
    cmp word [eax - 2], 0x30cd
    jne .elsewhere
    say 'behind its int'
.elsewhere:
    say 10
    iretd

on_gp:
    pop dword [gp_error]
    add dword [esp], 7              ; a far jump with an immediate pointer
    iretd

tick:
    push eax
    push ds
    mov eax, DATA32
    mov ds, eax
    test dword [esp + 16], VM       ; only those that interrupt the 8086 program count
    jz .protected
    inc dword [v86_ticks]
    mov eax, [v86_ticks]
    mov [V86_BASE + v86_seen - v86], ax
.protected:
    outp 0x20, 0x20
    pop ds
    pop eax
    iretd

; Frame of the monitor, from EBP up.
%define F_EDI  ebp
%define F_EAX  ebp + 28
%define F_ERR  ebp + 32
%define F_EIP  ebp + 36
%define F_CS   ebp + 40
%define F_FL   ebp + 44
%define F_ESP  ebp + 48
%define F_SS   ebp + 52

monitor:
    pushad
    mov ebp, esp
    mov eax, DATA32
    mov ds, eax
    mov es, eax
    test dword [F_FL], VM
    jnz .v86
    fail 'general protection in the monitor'
.v86:
    cmp dword [F_ERR], 0
    je .no_error
    fail 'error code from the 8086 program'
.no_error:
    movzx esi, word [F_CS]
    shl esi, 4
    add esi, [F_EIP]                ; the instruction
    mov al, [esi]
    cmp al, 0xcd
    je .int
    cmp al, 0xcf
    je .iret
    cmp al, 0xfa
    je .cli
    cmp al, 0xfb
    je .sti
    cmp al, 0x9c
    je .pushf
    cmp al, 0x9d
    je .popf
    cmp al, 0xe4
    je .in
    cmp al, 0xe6
    je .out
    cmp al, 0xa1
    je .limit
    cmp al, 0xf4
    je .halt
    say 'opcode '
    hex eax, 2
    say 10
    fail 'no such trap'

.int:                               ; as the 8086 does it: FLAGS, CS, IP pushed, IF off, vector from the table
    inc dword [count_int]
    movzx edx, byte [esi + 1]
    add dword [F_EIP], 2
    mov eax, [F_FL]
    and eax, ~IF
    or eax, [virtual_if]
    call v86_push
    mov eax, [F_CS]
    call v86_push
    mov eax, [F_EIP]
    call v86_push
    mov dword [virtual_if], 0
    movzx eax, word [edx * 4]
    mov [F_EIP], eax
    movzx eax, word [edx * 4 + 2]
    mov [F_CS], eax
    jmp .resume
.iret:
    inc dword [count_iret]
    call v86_pop
    mov [F_EIP], eax
    call v86_pop
    mov [F_CS], eax
    call v86_pop
    jmp .set_flags
.cli:
    inc dword [count_if]
    mov dword [virtual_if], 0
    jmp .skip
.sti:
    inc dword [count_if]
    mov dword [virtual_if], IF
    jmp .skip
.pushf:
    inc dword [count_flags]
    mov eax, [F_FL]
    and eax, ~IF
    or eax, [virtual_if]
    call v86_push
    jmp .skip
.popf:
    inc dword [count_flags]
    inc dword [F_EIP]
    call v86_pop
.set_flags:                         ; arithmetic flags into the real register, IF into the virtual one
    mov edx, eax
    and edx, IF
    mov [virtual_if], edx
    and eax, 0xcd5
    and dword [F_FL], ~0xcd5
    or [F_FL], eax
    jmp .resume
.in:
    inc dword [count_io]
    movzx edx, byte [esi + 1]
    in al, dx
    mov [F_EAX], al
    add dword [F_EIP], 2
    jmp .resume
.out:
    inc dword [count_io]
    movzx edx, byte [esi + 1]
    mov al, [F_EAX]
    out dx, al
    add dword [F_EIP], 2
    jmp .resume
.limit:
    inc dword [count_limit]
    add dword [F_EIP], 3
    jmp .resume
.skip:
    inc dword [F_EIP]
.resume:
    popad
    add esp, 4
    iretd
.halt:
    say 'monitor: hlt at '
    hex [F_CS], 4
    say ':'
    hex [F_EIP], 4
    say ' ds '
    hex [ebp + 60], 4
    say ' fs '
    hex [ebp + 64], 4
    say ' gs '
    hex [ebp + 68], 4
    say ' sp '
    hex [F_ESP], 4
    say ' bx '
    hex [ebp + 16], 4
    say 10
    jmp TSS0:0

; AX on the stack of the 8086 program, which wraps within 64 KiB.
v86_push:
    push edx
    sub word [F_ESP], 2
    movzx edx, word [F_SS]
    shl edx, 4
    push ecx
    movzx ecx, word [F_ESP]
    mov [edx + ecx], ax
    pop ecx
    pop edx
    ret

; EAX = the top of that stack, popped.
v86_pop:
    push edx
    push ecx
    movzx edx, word [F_SS]
    shl edx, 4
    movzx ecx, word [F_ESP]
    movzx eax, word [edx + ecx]
    add word [F_ESP], 2
    pop ecx
    pop edx
    ret

bits 16
v86:
    mov si, v86_text - v86
.next:
    lodsb
    test al, al
    jz .printed
    int 0x60                        ; trapped, reflected
    jmp .next
.printed:
    pushf                           ; trapped, IF is virtual and off
    pop ax
    mov bx, ax
    sti
    pushf
    pop ax
    cli
    xor bx, ax                      ; IF alone
    push word 0x0801                ; CF, OF… DF stays off
    popf
    jnc v86_bad
    jno v86_bad
    in al, 0x61                     ; denied by the bitmap
    and al, 0xfc
    out 0x61, al
    mov ax, [0xffff]                ; a word across the limit
.wait:
    cmp word [v86_seen - v86], 3
    jb .wait
    mov ax, 0xffff                  ; addresses wrap nowhere below 1 MiB + 64 KiB: 0xffff:0x0010 is 0x100000
    mov es, ax
    mov eax, [es:0x10]
    cmp eax, 0x464c457f
    jne v86_bad
    push bp
    mov bp, sp
    mov cx, [bp]
    pop bp
    hlt
v86_bad:
    ud2

; INT 0x60: AL to the console, by a port that the bitmap lets through.
v86_int60:
    push dx
    push ax
    mov dx, COM1 + 5
.busy:
    in al, dx
    test al, 0x20
    jz .busy
    pop ax
    mov dx, COM1
    out dx, al
    pop dx
    iret

v86_text: db '8086: hello through int 60', 10, 0
v86_seen: dw 0
v86_end:
bits 32

BSS
idt:         resb 256 * 8
tss0:        resb 104
tss1:        resb 104
tss2:        resb 104
tss3:        resb 104
bitmap:      resb 128               ; ports 0–0x3ff
             resb 1                 ; the byte of ones that must follow
bitmap_end:
             resb 7
gp_error:    resd 1
virtual_if:  resd 1
v86_ticks:   resd 1
count_int:   resd 1
count_iret:  resd 1
count_if:    resd 1
count_flags: resd 1
count_io:    resd 1
count_limit: resd 1
             resb 2048
tss0_stack:
             resb 2048
tss1_stack:
             resb 2048
tss2_stack:
             resb 2048
tss3_stack:
ENDBSS
