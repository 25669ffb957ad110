; Segmentation (Intel SDM volume 3, chapters 3 and 5): limits of every kind, expand-down segments, type and privilege
; checks on loading and on use, accessed bits, code limits, stacks of both widths, the local table, and what LAR, LSL,
; VERR, VERW and ARPL say about all thirty-two types.

%define GUEST 'sys-segments'
%include "pvh.inc"
%include "sys32.inc"

BYTES       equ 0x48                ; 0x1000 bytes
PAGES       equ 0x50                ; one page by granularity
DOWN32      equ 0x58                ; expand-down, limit 0xfff, 32-bit
DOWN16      equ 0x60                ; the same, 16-bit
DOWN_NONE   equ 0x68                ; expand-down with nothing above the limit
HIGH_BASE   equ 0x70                ; base 0xfffff000
READ_ONLY   equ 0x78
EXEC_ONLY   equ 0x80
READABLE    equ 0x88
CONFORMING  equ 0x90
USER_LOW    equ 0x98                ; DPL 3 data
STACK16     equ 0xa0                ; ring 3, 64 KiB, 16-bit
STACK_SMALL equ 0xa8                ; ring 3, 0x1000 bytes, 32-bit
STACK_DOWN  equ 0xb0                ; ring 3, expand-down
CODE_SMALL  equ 0xb8                ; code with a limit of its own
CODE16_LOW  equ 0xc0                ; 16-bit code at LOW
SUBJECT     equ 0xc8                ; rewritten in a loop
STACK16_R0  equ 0xd0
IN_LDT      equ 0x04
LDT_GONE    equ 0x0c                ; not present

LOW         equ 0x20000             ; 64 KiB of code that the guest writes

; Load a segment register with a selector.
%macro load 2
    mov eax, %2
    mov %1, ax
%endmacro

; Before a case ends without an exception.
%macro restore_ds 0
    push ss
    pop ds
%endmacro

; One access through ES: name, selector, instruction.
%macro access 3+
    try %1
    load es, %2
    %3
    endtry0
%endmacro

main:
    call sys_init
    fninit
    seg_ BYTES, arena, 0xfff, ACC_DATA, 4
    seg_ PAGES, arena, 0, ACC_DATA, 0xc
    seg_ DOWN32, arena, 0xfff, 0x97, 4
    seg_ DOWN16, arena, 0xfff, 0x97, 0
    seg_ DOWN_NONE, arena, 0xfffff, 0x97, 0xc
    seg_ HIGH_BASE, 0xfffff000, 0xfffff, ACC_DATA, 0xc
    seg_ READ_ONLY, arena, 0xfff, 0x91, 4
    seg_ EXEC_ONLY, arena, 0xfff, 0x99, 4
    seg_ READABLE, arena, 0xfff, 0x9b, 4
    seg_ CONFORMING, arena, 0xfff, 0x9f, 4
    seg_ USER_LOW, arena, 0xfff, 0xf3, 4
    seg_ STACK16, arena, 0xffff, 0xf3, 0
    seg_ STACK_SMALL, arena, 0xfff, 0xf3, 4
    seg_ STACK_DOWN, arena, 0xfff, 0xf7, 4
    seg_ STACK16_R0, arena, 0xffff, ACC_DATA, 0
    seg_ IN_LDT, arena, 0x7ff, ACC_DATA, 4
    seg_ LDT_GONE, arena, 0x7ff, ACC_DATA & 0x7f, 4

    call limits
    call loading
    call accessed
    call code_limits
    call stacks
    call stack_widths
    call questions
    report_rf
    ret

limits:
    line 'limits'
    access 'byte, last', BYTES, mov al, [es:0xfff]
    access 'byte, beyond', BYTES, mov al, [es:0x1000]
    access 'word, last', BYTES, mov ax, [es:0xffe]
    access 'word, across', BYTES, mov ax, [es:0xfff]
    access 'dword, last', BYTES, mov [es:0xffc], eax
    access 'dword, across', BYTES, mov [es:0xffd], eax
    access 'qword, across', BYTES, fld qword [es:0xff9]
    fninit
    access 'offset of all ones', BYTES, mov al, [es:0xffffffff]
    access 'dword around 4 GiB', BYTES, mov eax, [es:0xfffffffe]
    access 'page, last', PAGES, mov al, [es:0xfff]
    access 'page, beyond', PAGES, mov al, [es:0x1000]
    access 'add, beyond', BYTES, add dword [es:0x1000], 1
    access 'cmpxchg, beyond', BYTES, cmpxchg [es:0x1000], ecx
    access 'bt, beyond', BYTES, bts dword [es:0xffc], 1
    try 'bt with a register, beyond'
    load es, BYTES
    mov eax, 0x8000
    bt dword [es:0], eax
    endtry0
    access 'sidt, across', BYTES, sidt [es:0xffb]
    access 'fnsave, across', BYTES, fnsave [es:0xff0]
    access 'fxsave, across', BYTES, fxsave [es:0xf00]
    access 'lea asks nothing', BYTES, lea eax, [es:0x2000]
    access 'nop asks nothing', BYTES, nop dword [es:0x2000]
    access 'prefetch asks nothing', BYTES, prefetchnta [es:0x2000]
    access 'invlpg asks nothing', BYTES, invlpg [es:0x2000]
    try 'bound, across'
    load es, BYTES
    xor eax, eax
    bound eax, [es:0xffc]
    endtry0
    try 'through fs'
    load fs, BYTES
    mov al, [fs:0x1000]
    endtry0
    try 'stosd, across'
    load es, BYTES
    mov edi, 0xffe
    stosd
    endtry0
    try 'movsd, source across'
    load ds, BYTES
    mov esi, 0xffd
    mov edi, arena
    movsd
    restore_ds
    endtry0
    try 'xlat, beyond'
    load ds, BYTES
    mov ebx, 0xfff
    mov al, 1
    xlatb
    restore_ds
    endtry0
    access 'moffs, beyond', BYTES, db 0x26, 0xa0, 0x00, 0x10, 0x00, 0x00

    line 'expand-down'
    access 'first valid', DOWN32, mov al, [es:0x1000]
    access 'last invalid', DOWN32, mov al, [es:0xfff]
    access 'zero', DOWN32, mov al, [es:0]
    access 'word from below', DOWN32, mov ax, [es:0xfff]
    access 'dword at the top', DOWN32, mov eax, [es:0x8000]
    access '16-bit, first valid', DOWN16, mov al, [es:0x1000]
    access '16-bit, last invalid', DOWN16, mov al, [es:0xfff]
    access '16-bit, 0xffff', DOWN16, mov al, [es:0xffff]
    access '16-bit, word across 64 KiB', DOWN16, mov ax, [es:0xffff]
    access '16-bit, 0x10000', DOWN16, mov al, [es:0x10000]
    access 'nothing above', DOWN_NONE, mov al, [es:0xffffffff]
    access 'nothing at zero', DOWN_NONE, mov al, [es:0]

    line 'wrapping'
    mov dword [arena + 0x10], 0x12345678
    try 'base and offset around 4 GiB'
    load es, HIGH_BASE
    mov eax, [es:arena + 0x1010]
    endtry0
    hex eax, 8
    say 10
    ret

loading:
    line 'loading, ring 0'
    try 'ds, execute-only'
    load ds, EXEC_ONLY
    endtry0
    try 'ds, readable code'
    load ds, READABLE
    mov al, [0xfff]
    restore_ds
    endtry0
    try 'ds, readable code written'
    load ds, READABLE
    mov [0xff0], al
    restore_ds
    endtry0
    try 'ds, read-only written'
    load ds, READ_ONLY
    mov [0xff0], al
    restore_ds
    endtry0
    try 'ds, read-only, beyond'
    load ds, READ_ONLY
    mov al, [0x1000]
    restore_ds
    endtry0
    try 'ds, RPL 3 of DPL 0'
    load ds, BYTES | 3
    endtry0
    try 'ds, RPL 3 of conforming'
    load ds, CONFORMING | 3
    mov al, [0]
    restore_ds
    endtry0
    try 'ds, system descriptor'
    load ds, SYS_TSS
    endtry0
    try 'ss, read-only'
    load ss, READ_ONLY
    endtry0
    try 'ss, RPL 3'
    load ss, BYTES | 3
    endtry0
    try 'ss, DPL 3'
    load ss, USER_LOW
    endtry0
    try 'ss, readable code'
    load ss, READABLE
    endtry0
    try 'null with RPL, not used'
    load gs, 3
    endtry0
    try 'null with RPL, used'
    load gs, 3
    mov al, [gs:arena]
    endtry0
    try 'local table'
    load es, IN_LDT
    mov al, [es:0x7ff]
    endtry0
    try 'local table, beyond'
    load es, IN_LDT
    mov al, [es:0x800]
    endtry0
    try 'local table, not present'
    load es, LDT_GONE
    endtry0
    try 'lldt null, then local'
    xor eax, eax
    lldt ax
    load es, IN_LDT
    endtry0
    mov eax, SYS_LDT
    lldt ax
    lgdt [cut_gdt]
    try 'descriptor cut by the limit'
    load es, BYTES
    endtry0
    try 'descriptor just inside'
    load es, 0x40
    endtry0
    lgdt [sys_gdt_pointer]
    try 'lds'
    lds esi, [far_pointer]
    mov al, [esi]
    restore_ds
    endtry0
    try 'les of nothing'
    les esi, [far_nothing]
    endtry0
    try 'pop es, execute-only'
    push dword EXEC_ONLY
    mov [try_base], esp
    pop es
    endtry0

    line 'loading, ring 3'
    try3 'ds, DPL 0'
    load ds, BYTES
    endtry
    try3 'ds, DPL 3'
    load ds, USER_LOW
    mov al, [0xfff]
    endtry
    try3 'ds, DPL 3, RPL 0, beyond'
    load ds, USER_LOW
    mov al, [0x1000]
    endtry
    try3 'ds, conforming DPL 0'
    load ds, CONFORMING
    mov al, [0]
    endtry
    try3 'ds, code DPL 0'
    load ds, READABLE
    endtry
    try3 'ss, RPL 0'
    load ss, USER_LOW
    endtry
    try3 'ss null'
    load ss, 0
    endtry
    try3 'ss null, RPL 3'
    load ss, 3
    endtry
    ret

; Descriptors are marked on loading, not on asking.
accessed:
    line 'accessed'
    seg_ SUBJECT, arena, 0xfff, 0x92, 4
    mov eax, SUBJECT
    lar ecx, ax
    verr ax
    call show_subject
    mov es, eax
    call show_subject
    mov eax, DATA32
    mov es, eax
    seg_ SUBJECT, 0, 0xfffff, 0x9a, 0xc
    jmp SUBJECT:.there
.there:
    jmp CODE32:.back
.back:
    call show_subject
    seg_ SUBJECT, 0, 0xfffff, 0x92, 0xc
    mov eax, SUBJECT
    mov ss, eax
    mov eax, DATA32
    mov ss, eax
    call show_subject
    seg_ SUBJECT, arena, 0xfff, 0x12, 4
    try 'not present, and not marked'
    mov eax, SUBJECT
    mov es, eax
    endtry0
    call show_subject
    ret

show_subject:
    push eax
    say 'rights '
    movzx eax, byte [sys_gdt + SUBJECT + 5]
    hex eax, 2
    say 10
    pop eax
    ret

; Code with limit 0x7f at `small`, then 16-bit code that reaches 64 KiB.
%macro in_small 2
    try %1
    mov dword [try_start], small
    jmp CODE_SMALL:%2 - small
    endtry0
%endmacro

code_limits:
    line 'code limits'
    seg_ CODE_SMALL, small, 0x7f, ACC_CODE, 4
    one 'far jmp beyond the limit', jmp CODE_SMALL:0x80
    mov dword [try_bias], small
    in_small 'entry at an instruction across the limit', small + 0x7d
    in_small 'instruction across the limit', small.across
    in_small 'past the limit', small.past
    in_small 'jmp beyond', small.jump
    in_small 'jz beyond, taken', small.taken
    in_small 'jnz beyond, not taken', small.not_taken
    in_small 'loop beyond', small.looping
    say 'count '
    hex ecx, 8
    say 10
    in_small 'call beyond', small.calling
    in_small 'ret beyond', small.returning
    in_small 'jmp beyond by register', small.indirect
    mov dword [try_bias], 0

    ; Sixteen bits wide: nothing runs past 64 KiB, but a relative jump wraps.
    mov edi, LOW
    mov ecx, 0x10010 / 4
    mov eax, 0x90909090
    rep stosd
    mov word [edi], 0x0b0f          ; where a processor without limits stops,
    mov dword [LOW], 0x900b0f90     ; and one that wraps
    seg_ CODE16_LOW, LOW, 0xffff, ACC_CODE, 0
    mov dword [try_bias], LOW
    try '16-bit code, past 64 KiB'
    jmp CODE16_LOW:0xfffc
    endtry0
    mov dword [LOW + 0xfffd], 0x00b890  ; nop; mov ax, …
    try '16-bit code, instruction across 64 KiB'
    jmp CODE16_LOW:0xfffd
    endtry0
    mov word [LOW + 0xfff0], 0x20eb     ; jmp short to 0x12
    mov word [LOW + 0x12], 0x0b0f
    try '16-bit code, short jump around 64 KiB'
    jmp CODE16_LOW:0xfff0
    endtry0
    mov word [LOW + 0x100], 0xf7eb      ; jmp short to 0xf9
    mov dword [LOW + 0xf9], 0xfeff00e9  ; jmp near to 0xfffc
    mov word [LOW + 0xfffc], 0x0b0f
    try '16-bit code, near jumps'
    jmp CODE16_LOW:0x100
    endtry0
    mov dword [try_bias], 0
    ret

align 16
small:
.jump:
    jmp near small + 0x100
.taken:
    xor eax, eax
    jz near small + 0x100
.not_taken:
    test esp, esp
    jz near small + 0x100
    ud2
.calling:
    call small + 0x100
.returning:
    push dword 0x100
    mov [try_base], esp
    ret
.indirect:
    mov eax, 0x100
    jmp eax
.across:
    jmp short small + 0x7c
.past:
    jmp short small + 0x7f
.looping:
    mov ecx, 5
    loop small + 0x90
    times 0x7c - ($ - small) nop
    nop
    mov eax, 0x12349078             ; its third byte, the last below the limit, is a NOP
    times (0x102 - ($ - small)) / 2 ud2 ; where a processor without limits stops

; Stacks of ring 3: name, selector, ESP.
%macro on_stack 3
    try3 %1
    load ss, %2 | 3
    mov esp, %3
%endmacro

stacks:
    line 'stacks, ring 3'
    mov dword [arena + 0x1000], .called ; where RET goes on a processor without limits
    on_stack '16-bit, push around 0', STACK16, 0x12340000
    push eax
    ud2
    endtry
    on_stack '16-bit, push at 1', STACK16, 1
    push ax
    endtry
    on_stack '16-bit, dword push at 2', STACK16, 2
    push eax
    endtry
    on_stack '16-bit, pop at 0xffff', STACK16, 0xffff
    pop ax
    endtry
    on_stack '16-bit, pop to 0', STACK16, 0xabcdfffe
    pop ax
    ud2
    endtry
    on_stack '16-bit, call', STACK16, 0xabcd0004
    call .called
.called:
    ud2
    endtry
    on_stack '16-bit, enter', STACK16, 0xabcd0100
    mov ebp, 0x55550000
    enter 0x10, 0
    lea eax, [ebp]
    ud2
    endtry
    say 'bp '
    hex ebp, 4
    say 10
    on_stack '16-bit, leave', STACK16, 0xabcd0100
    mov ebp, 0x12340200
    leave
    ud2
    endtry
    on_stack '16-bit, address by ebp', STACK16, 0x100
    mov ebp, 0x10000
    mov al, [ebp]
    endtry
    on_stack '16-bit, address by bp wraps', STACK16, 0x100
    mov ebp, 0xffff
    a16 mov al, [bp + 1]
    endtry
    on_stack 'small, push at the top', STACK_SMALL, 0x1000
    push eax
    ud2
    endtry
    on_stack 'small, push across the limit', STACK_SMALL, 0x1002
    push eax
    endtry
    on_stack 'small, pop beyond', STACK_SMALL, 0xffe
    pop eax
    endtry
    on_stack 'small, push at 0', STACK_SMALL, 0
    push eax
    endtry
    on_stack 'small, pushad at the bottom', STACK_SMALL, 0x10
    pushad
    endtry
    on_stack 'small, popad at the top', STACK_SMALL, 0xff0
    popad
    endtry
    on_stack 'small, call at the bottom', STACK_SMALL, 0
    call .called
    endtry
    on_stack 'small, ret beyond', STACK_SMALL, 0x1000
    ret
    endtry
    on_stack 'small, enter beyond the bottom', STACK_SMALL, 0x20
    enter 0x40, 0
    ud2
    endtry
    on_stack 'small, push of memory beyond', STACK_SMALL, 0x100
    push dword [ss:0x1000]
    endtry
    on_stack 'small, pop to memory beyond', STACK_SMALL, 0x100
    pop dword [ss:0x1000]
    endtry
    on_stack 'expand-down, push to the limit', STACK_DOWN, 0x1004
    push eax
    push eax
    endtry
    on_stack 'expand-down, used above', STACK_DOWN, 0x2000
    push eax
    pop eax
    endtry
    ret

; What an instruction does with a stack of one width when it changes to the other, or has operands of the other.
FLAT_STACK  equ 0x30fffc            ; in memory that nobody uses
stack_widths:
    line 'stack widths, ring 0'
    mov [saved_esp], esp
    mov dword [arena + 0xfffc], DATA32
    load ss, STACK16_R0
    mov esp, 0xabcdfffc
    pop ss                          ; SP wraps: the stack that is popped has 16 bits
    xchg esp, [saved_esp]
    say 'pop ss, from 16 to 32 bits: esp '
    hex [saved_esp], 8
    say 10
    mov [saved_esp], esp
    mov dword [FLAT_STACK], STACK16_R0
    mov esp, FLAT_STACK
    pop ss
    mov eax, esp
    mov bx, DATA32
    mov ss, bx
    mov esp, [saved_esp]
    say 'pop ss, from 32 to 16 bits: esp '
    hex eax, 8
    say 10
%macro entered 3+                   ; text, stack, ENTER
    mov [saved_esp], esp
    load ss, %2
    mov esp, 0x10000
    mov ebp, 0x55550100
    %3
    mov eax, esp
    mov ecx, ebp
    mov bx, DATA32
    mov ss, bx
    mov esp, [saved_esp]
    say %1, ': esp '
    hex eax, 8
    say ' ebp '
    hex ecx, 8
    say 10
%endmacro
    entered 'enter 8, 0 on 16 bits', STACK16_R0, enter 8, 0
    entered 'enter 8, 1 on 16 bits', STACK16_R0, enter 8, 1
    say '  frame '
    hex [arena + 0xfff8], 8
    say 10
    entered 'o16 enter 8, 2 on 16 bits', STACK16_R0, o16 enter 8, 2
    say '  frame '
    hex [arena + 0xfffa], 4
    say 10
    ret

; What LAR, LSL, VERR and VERW say: a bit a type, S in bit 4 of it.
questions:
    line 'questions: lar lsl verr verw'
    mov byte [asked_dpl], 0
    mov dword [asked_rpl], 0
    say 'cpl 0 dpl 0 rpl 0'
    call ask_all
    call show_answers
    mov dword [asked_rpl], 3
    say 'cpl 0 dpl 0 rpl 3'
    call ask_all
    call show_answers
    mov byte [asked_dpl], 0x60
    say 'cpl 0 dpl 3 rpl 3'
    call ask_all
    call show_answers
    mov dword [asked_rpl], 0
    try3 'cpl 3 dpl 3 rpl 0'
    call ask_all
    endtry
    call show_answers
    mov byte [asked_dpl], 0
    try3 'cpl 3 dpl 0 rpl 0'
    call ask_all
    endtry
    call show_answers

    seg_ SUBJECT, arena, 0x02345, 0x93, 0xd
    mov eax, SUBJECT
    mov ecx, -1
    lar ecx, eax
    hex ecx, 8
    say ' '
    mov ecx, -1
    lar cx, ax
    hex ecx, 8
    say ' '
    lsl ecx, eax
    hex ecx, 8
    say ' '
    mov ecx, -1
    lsl cx, ax
    hex ecx, 8
    say ' '
    mov eax, 0
    mov ecx, 0x5555
    lar ecx, eax
    hex ecx, 8
    mov eax, 0xfff8
    lsl ecx, eax
    say ' '
    hex ecx, 8
    say 10
    ; ARPL.
    mov eax, 0x12340010
    mov ecx, 3
    arpl ax, cx
    call show_zf
    mov ecx, 1
    arpl ax, cx
    call show_zf
    hex eax, 8
    say 10
    ret

show_zf:
    pushfd
    push eax
    mov eax, [esp + 4]
    shr eax, 6
    and eax, 1
    dec_ eax
    say ' '
    pop eax
    popfd
    ret

ask_all:
    xor ebx, ebx
    mov [answers], ebx
    mov [answers + 4], ebx
    mov [answers + 8], ebx
    mov [answers + 12], ebx
.next:
    mov al, bl
    or al, 0x80
    or al, [asked_dpl]
    mov dword [sys_gdt + SUBJECT], 0x0fff
    mov dword [sys_gdt + SUBJECT + 4], 0x400000
    mov [sys_gdt + SUBJECT + 5], al
    mov eax, SUBJECT
    or eax, [asked_rpl]
    lar ecx, eax
    jnz .lsl
    bts dword [answers], ebx
.lsl:
    lsl ecx, eax
    jnz .verr
    bts dword [answers + 4], ebx
.verr:
    verr ax
    jnz .verw
    bts dword [answers + 8], ebx
.verw:
    verw ax
    jnz .asked
    bts dword [answers + 12], ebx
.asked:
    inc ebx
    cmp ebx, 32
    jb .next
    ret

show_answers:
    xor ecx, ecx
.next:
    say ' '
    mov eax, [answers + ecx * 4]
    hex eax, 8
    inc ecx
    cmp ecx, 4
    jb .next
    say 10
    ret

align 4
cut_gdt:
    dw BYTES + 6                    ; all but the last byte of the descriptor BYTES
    dd sys_gdt
far_pointer:
    dd 0x800
    dw BYTES
far_nothing:
    dd 0
    dw 0x1f8

BSS
    SYS32_BSS
    reserve_to
arena:     resb 0x10000 + 64
saved_esp: resd 1
answers:   resd 4
asked_rpl: resd 1
asked_dpl: resb 1
ENDBSS
