; Transfers between segments and rings (Intel SDM volume 3, 5.8, 6.12, 7.3; volume 2, CALL, JMP, RET, IRET): direct ones
; and conforming code, call gates of both sizes with parameters, far returns and IRET with every check, interrupt and
; trap gates to each ring, stacks in the TSS that are bad, task gates, and a double fault that a task handles.
; A transfer that arrives prints CS, SS, EFLAGS and its stack from the top: +n is an offset in the case, u-n lies n
; bytes below the user stack's top, k-n below that of ring 0, m-n below that of ring 1, t-n below that of task B.

%define GUEST 'sys-gates'
%include "pvh.inc"
%include "sys32.inc"

CODE_R1     equ 0x48 | 1
DATA_R1     equ 0x50 | 1
CODE_R2     equ 0x58 | 2
CONF0       equ 0x60                ; conforming, DPL 0
CONF3       equ 0x68                ; conforming, DPL 3
GONE        equ 0x70                ; code, not present
SMALL       equ 0x78                ; code, limit 0xfff
GATE        equ 0x80                ; rewritten
SUBJECT     equ 0x88                ; rewritten
SMALL_R1    equ 0x90 | 1            ; data of ring 1, 8 bytes
DATA_GONE   equ 0x98 | 1            ; data of ring 1, not present
READ_R1     equ 0xa0 | 1            ; data of ring 1, read-only
TSS_A       equ 0xa8
TSS_B       equ 0xb0
TSS_C       equ 0xb8
CODE16_R3   equ 0xc0 | 3
DATA_GONE3  equ 0xc8 | 3            ; data of ring 3, not present

GATE32      equ 0x8c
GATE16      equ 0x84
TASK_GATE   equ 0x85
FOR_R3      equ 0x60

; Ring 0 again and the rest of the frame at hand: what the next case's exception is pushed below.
%macro frame_here 0
    mov [try_base], esp
%endmacro

main:
    call sys_init
    seg_ CODE_R1 & ~3, 0, 0xfffff, ACC_CODE | 0x20, 0xc
    seg_ DATA_R1 & ~3, 0, 0xfffff, ACC_DATA | 0x20, 0xc
    seg_ CODE_R2 & ~3, 0, 0xfffff, ACC_CODE | 0x40, 0xc
    seg_ CONF0, 0, 0xfffff, 0x9f, 0xc
    seg_ CONF3, 0, 0xfffff, 0xff, 0xc
    seg_ GONE, 0, 0xfffff, 0x1b, 0xc
    seg_ SMALL, 0, 0xfff, ACC_CODE, 4
    seg_ SMALL_R1 & ~3, ring1_top - 8, 7, 0xb3, 4
    seg_ DATA_GONE & ~3, 0, 0xfffff, 0x33, 0xc
    seg_ READ_R1 & ~3, 0, 0xfffff, 0xb1, 0xc
    seg_ CODE16_R3 & ~3, image_base, 0xffff, ACC_CODE | ACC_DPL3, 0
    seg_ DATA_GONE3 & ~3, 0, 0xfffff, 0x73, 0xc
    call inner_stacks
    call mask_interrupts
    mov word [0x1000], 0x0b0f       ; UD2, where a processor without limits goes
    mov dword [try_flags], EFL_IOPL3 | 2 ; rings 1 and 2 print too

    call direct
    call call_gates
    call returns
    call interrupt_gates
    call bad_stacks
    call task_gates
    report_rf
    ret

inner_stacks:
    mov dword [sys_tss + 12], ring1_top
    mov dword [sys_tss + 16], DATA_R1
    mov dword [sys_tss + 20], ring1_top
    mov dword [sys_tss + 24], DATA_R1
    ret

; Arrivals: show the stack, then leave by the named way. Only SS is known to be flat.
arrive_retf:
    call show_arrival
    retf
arrive_retf8:
    call show_arrival
    retf 8
arrive_iret:
    call show_arrival
    iretd
arrive_stop:
    call show_arrival
    inc dword [ss:try_count]
    mov dword [ss:try_stop], .hlt
    mov [ss:try_base], esp
    test dword [ss:arrived_cs], 3
    jz .ring0
    mov dword [ss:try_base], ring0_top
.hlt:
    hlt                             ; #GP outside ring 0: the handler ends the case
.ring0:
    mov esp, [ss:try_esp]
    jmp [ss:try_resume]

; Keeps everything. [esp] is the return address, above it lies what the transfer pushed.
show_arrival:
    pushfd
    pushad
    mov eax, cs
    mov [ss:arrived_cs], eax
    push ds
    push es
    mov eax, ss
    mov ds, eax
    mov es, eax
    say ' cs='
    hex [arrived_cs], 4
    mov eax, ss
    say ' ss='
    hex eax, 4
    mov eax, [esp + 40]
    and eax, ~0x8d5
    say ' fl='
    hex eax, 6
    say ' ['
    lea esi, [esp + 48]
.next:
    cmp esi, [arrival_top]
    jae .done
    cmp byte [arrival_size], 2
    je .word
    lodsd
    mov edx, -1
    jmp .show
.word:
    movzx eax, word [esi]
    add esi, 2
    mov edx, 0xffff
.show:
    call show_stacked
    cmp esi, [arrival_top]
    jae .done
    say ' '
    jmp .next
.done:
    say ']'
    pop es
    pop ds
    popad
    popfd
    ret

; EAX, of which only the bits in EDX count.
show_stacked:
    mov ebx, eax
    sub ebx, [try_start]
    and ebx, edx
    cmp ebx, 0x100
    jae .user
    say '+'
    hex ebx, 2
    ret
.user:
    mov ebx, user_top
    sub ebx, eax
    and ebx, edx
    cmp ebx, 0x100
    jae .kernel
    say 'u-'
    hex ebx, 2
    ret
.kernel:
    mov ebx, ring0_top
    sub ebx, eax
    and ebx, edx
    cmp ebx, 0x100
    jae .middle
    say 'k-'
    hex ebx, 2
    ret
.middle:
    mov ebx, ring1_top
    sub ebx, eax
    and ebx, edx
    cmp ebx, 0x100
    jae .number
    say 'm-'
    hex ebx, 2
    ret
.number:
    cmp eax, task_never
    je .task
    mov ebx, task_b_top
    sub ebx, eax
    cmp ebx, 0x100
    jae .digits
    say 't-'
    hex ebx, 2
    ret
.task:
    say 'task'
    ret
.digits:
    cmp edx, -1
    je .dword
    hex eax, 4
    ret
.dword:
    hex eax, 8
    ret

; Where the stack of an arrival ends, and its element size.
%macro arrives_on 1-2 4
    mov dword [arrival_top], %1
    mov byte [arrival_size], %2
%endmacro

; In ring 0: the stack of the case itself.
%macro arrives_here 0-1 4
    mov [arrival_top], esp
    mov byte [arrival_size], %1
%endmacro

direct:
    line 'direct'
    try 'call, same ring'
    arrives_here
    call CODE32:arrive_retf
    endtry0
    one 'jmp, RPL 3 of DPL 0', jmp CODE32 | 3:arrive_stop
    one 'jmp, DPL 3', jmp USER_CODE & ~3:arrive_stop
    one 'jmp, conforming DPL 3', jmp CONF3:arrive_stop
    one 'jmp, null', jmp 0:arrive_stop
    one 'jmp, data', jmp DATA32:arrive_stop
    one 'jmp, nothing', jmp 0x1f8:arrive_stop
    one 'jmp, beyond the table', jmp 0xfff8:arrive_stop
    one 'jmp, local table descriptor', jmp SYS_LDT:arrive_stop
    one 'jmp, not present', jmp GONE:arrive_stop
    one 'call, not present', call GONE:arrive_stop
    one 'jmp, beyond the limit', jmp SMALL:0x1000
    try 'jmp, conforming DPL 0'
    arrives_here
    jmp CONF0:arrive_stop
    endtry0
    arrives_on user_top
    try3 'call, conforming DPL 0'
    call CONF0:arrive_retf
    endtry
    try3 'jmp, conforming DPL 3'
    jmp CONF3:arrive_stop
    endtry
    try3 'jmp, conforming, RPL 3'
    jmp CONF0 | 3:arrive_stop
    endtry
    one3 'call, DPL 0', call CODE32:arrive_stop
    one3 'jmp, DPL 1', jmp CODE_R1:arrive_stop
    one3 'jmp, TSS', jmp SYS_TSS:0
    try3 'call by memory'
    call far [far_conforming]
    endtry
    ret

; A call gate at GATE: rights, target selector, offset, count; then `call GATE`.
%macro through 5-6 GATE
    callgate_ GATE, %3, %4, %2, %5
    try3 %1
    push dword 0x11111111
    push dword 0x22222222
    call %6:0x5555
    endtry
%endmacro

call_gates:
    line 'call gates, ring 3'
    arrives_on ring0_top
    through 'to ring 0', GATE32 | FOR_R3, CODE32, arrive_retf, 0
    through 'two parameters', GATE32 | FOR_R3, CODE32, arrive_retf8, 2
    try3 'two parameters, stack after it'
    push dword 0x11111111
    push dword 0x22222222
    call GATE:0
    ud2
    endtry
    through '31 parameters', GATE32 | FOR_R3, CODE32, arrive_stop, 31
    arrives_on ring0_top, 2
    callgate_ GATE, CODE16, arrive16 - image_base, GATE16 | FOR_R3, 3
    try3 'gate of 16 bits to 16-bit code, three words'
    push dword 0x11111111
    push dword 0x22222222
    call GATE:0
    endtry
    arrives_on ring1_top
    through 'to ring 1', GATE32 | FOR_R3, CODE_R1, arrive_retf, 0
    through 'to ring 2 by ring 1 stack', GATE32 | FOR_R3, CODE_R2, arrive_stop, 0
    arrives_on user_top
    through 'to conforming DPL 0', GATE32 | FOR_R3, CONF0, arrive_retf, 2
    through 'to ring 3', GATE32 | FOR_R3, USER_CODE, arrive_retf, 2
    through 'gate for ring 0', GATE32, CODE32, arrive_stop, 0
    callgate_ GATE, CODE32, arrive_stop, GATE32 | 0x20, 0
    one 'gate for ring 1, ring 0, RPL 2', call GATE | 2:0
    through 'gate not present', GATE32 & 0x7f | FOR_R3, CODE32, arrive_stop, 0
    through 'target null', GATE32 | FOR_R3, 3, arrive_stop, 0
    through 'target data', GATE32 | FOR_R3, DATA32, arrive_stop, 0
    through 'target a gate', GATE32 | FOR_R3, GATE, arrive_stop, 0
    through 'target not present', GATE32 | FOR_R3, GONE, arrive_stop, 0
    through 'target beyond the table', GATE32 | FOR_R3, 0xfff8, arrive_stop, 0
    through 'offset beyond the limit', GATE32 | FOR_R3, SMALL, 0x1000, 0
    callgate_ GATE, CODE32, arrive_stop, GATE32 | FOR_R3, 0
    one3 'jmp to an inner ring', jmp GATE:0
    callgate_ GATE, CONF0, arrive_stop, GATE32 | FOR_R3, 0
    one3 'jmp to conforming', jmp GATE:0
    callgate_ GATE, CODE32, arrive_retf, GATE32, 3
    try 'ring 0 to ring 0, parameters are not copied'
    arrives_here
    call GATE:0
    endtry0
    callgate_ GATE, CODE32, arrive_stop, GATE32, 0
    try 'jmp, ring 0'
    arrives_here
    jmp GATE:0
    endtry0
    callgate_ GATE, USER_CODE, arrive_stop, GATE32, 0
    one 'ring 0 to DPL 3', call GATE:0
    ret

bits 16
arrive16:
    jmp dword CODE32:arrive_stop
bits 32

; Far returns and IRET from ring 0. Arguments of `frame`: what lies on the stack, the deepest first.
%macro frame 1-*
%rotate -1
%rep %0
    push dword %1
%rotate -1
%endrep
%endmacro
%macro bad_frame 1+
    frame %1
    frame_here
%endmacro

; The case goes on at user_ud2, in ring 3.
%macro to_user 0
    mov dword [try_start], user_ud2
    mov dword [try_base], ring0_top
%endmacro

returns:
    line 'far return'
    try 'same ring'
    frame %$there, CODE32
    retf
%$there:
    ud2
    endtry0
    try 'to ring 3'
    frame user_ud2, USER_CODE, user_top, USER_DATA
    to_user
    retf
    endtry0
    try 'to ring 3, release 8'
    frame user_ud2, USER_CODE, 1, 2, user_top - 8, USER_DATA
    to_user
    retf 8
    endtry0
    try 'to conforming, RPL 3'
    frame user_ud2, CONF0 | 3, user_top, USER_DATA
    to_user
    retf
    endtry0
%macro bad_return 2+
    try %1
    bad_frame %2
    retf
    endtry0
%endmacro
    bad_return 'cs null', 0, 0, 0
    bad_return 'cs data', 0, DATA32, 0
    bad_return 'cs beyond the table', 0, 0xfff8, 0
    bad_return 'cs not present', 0, GONE, 0
    bad_return 'cs DPL 3, RPL 0', 0, USER_CODE & ~3, 0
    bad_return 'cs DPL 0, RPL 3', 0, CODE32 | 3, 0
    bad_return 'cs conforming DPL 3, RPL 0', 0, CONF3 & ~3, 0
    bad_return 'cs a gate', 0, GATE, 0
    bad_return 'beyond the limit', 0x1000, SMALL, 0
    bad_return 'ss null', user_ud2, USER_CODE, user_top, 0
    bad_return 'ss null, RPL 3', user_ud2, USER_CODE, user_top, 3
    bad_return 'ss RPL 0', user_ud2, USER_CODE, user_top, USER_DATA & ~3
    bad_return 'ss DPL 0', user_ud2, USER_CODE, user_top, DATA32 | 3
    bad_return 'ss code', user_ud2, USER_CODE, user_top, USER_CODE
    bad_return 'ss not present', user_ud2, USER_CODE, user_top, DATA_GONE3
    bad_return 'ss beyond the table', user_ud2, USER_CODE, user_top, 0xfffb
    try3 'ring 3 to ring 0'
    push dword CODE32
    push dword arrive_stop
    retf
    endtry
    try3 'ring 3, ring 3'
    push dword USER_CODE
    push dword user_ud2
    mov dword [try_start], user_ud2
    retf
    endtry

    line 'segments after a return to ring 3'
    try 'selectors'
    frame user_segments, USER_CODE, user_top, USER_DATA
    mov eax, USER_DATA
    mov es, eax
    mov eax, CONF0
    mov fs, eax
    mov eax, CODE32
    mov gs, eax
    mov dword [try_base], ring0_top
    mov dword [try_stop], user_segments.end
    retf
    endtry0
    say 'ds es fs gs'
    xor ecx, ecx
.segment:
    say ' '
    movzx eax, word [seen + ecx * 2]
    hex eax, 4
    inc ecx
    cmp ecx, 4
    jb .segment
    say 10

    line 'iret'
    try 'same ring'
    frame %$there, CODE32, 0x2
    iretd
%$there:
    ud2
    endtry0
    try 'flags, ring 0'
    frame %$there, CODE32, 0x3d3ed7 ; all but NT, TF and VM
    iretd
%$there:
    ud2
    endtry0
    try 'flags of 16 bits, ring 0'
    push dword EFL_AC | 2
    popfd
    push word 0x3202
    push word CODE16
    push word %$there - image_base
    mov dword [try_bias], image_base
    o16 iret
%$there:
    ud2
    endtry0
    mov dword [try_bias], 0
    try 'to ring 3'
    frame user_ud2, USER_CODE, 0x3202, user_top, USER_DATA
    to_user
    iretd
    endtry0
%macro bad_iret 2+
    try %1
    bad_frame %2
    iretd
    endtry0
%endmacro
    bad_iret 'cs null', 0, 0, 2
    bad_iret 'cs data', 0, DATA32, 2
    bad_iret 'cs not present', 0, GONE, 2
    bad_iret 'cs DPL 0, RPL 3', 0, CODE32 | 3, 2
    bad_iret 'cs DPL 3, RPL 0', 0, USER_CODE & ~3, 2
    bad_iret 'beyond the limit', 0x1000, SMALL, 2
    bad_iret 'ss null', user_ud2, USER_CODE, 2, user_top, 0
    bad_iret 'ss RPL 0', user_ud2, USER_CODE, 2, user_top, USER_DATA & ~3
    bad_iret 'ss not present', user_ud2, USER_CODE, 2, user_top, DATA_GONE3
    try 'NT, link null'
    mov dword [sys_tss], 0
    push dword EFL_NT | 2
    popfd
    iretd
    endtry0
    try 'NT, link to a free TSS'
    seg_ TSS_A, tss_a, 0x67, 0x89, 0
    mov dword [sys_tss], TSS_A
    push dword EFL_NT | 2
    popfd
    iretd
    endtry0
    try 'NT, link to the local table'
    mov dword [sys_tss], 0x0c
    push dword EFL_NT | 2
    popfd
    iretd
    endtry0
    try3 'ring 3 to ring 0'
    push dword 2
    push dword CODE32
    push dword arrive_stop
    iretd
    endtry
    try3 'ring 3, flags of ring 3'
    push dword 0x247cd7 & ~EFL_NT
    push dword USER_CODE
    push dword user_ud2
    mov dword [try_start], user_ud2
    iretd
    endtry
    mov dword [try_flags], 2
    try3 'ring 3 with IOPL 0, flags'
    push dword 0x243ed7
    push dword USER_CODE
    push dword user_ud2
    mov dword [try_start], user_ud2
    iretd
    endtry
    mov dword [try_flags], EFL_IOPL3 | 2
    ret

user_ud2:
    ud2

; Stores the four data segment registers, by SS.
user_segments:
    mov [ss:seen], ds
    mov [ss:seen + 2], es
    mov [ss:seen + 4], fs
    mov [ss:seen + 6], gs
.end:
    hlt

; INT n through a gate at vector 0x30: rights, selector, offset.
%macro interrupt 4
    idtgate_ 0x30, %3, %4, (%2) << 8
    try3 %1
    int 0x30
    endtry
%endmacro

interrupt_gates:
    line 'interrupt gates, ring 3 with IF'
    mov dword [try_flags], EFL_IOPL3 | EFL_IF | EFL_AC | 2
    arrives_on ring0_top
    interrupt 'interrupt gate', 0xee, CODE32, arrive_iret
    interrupt 'trap gate', 0xef, CODE32, arrive_iret
    arrives_on ring0_top, 2
    interrupt 'interrupt gate of 16 bits', 0xe6, CODE16, arrive16 - image_base
    interrupt 'trap gate of 16 bits', 0xe7, CODE16, arrive16 - image_base
    idtgate_ 13, CODE16, arrive16 - image_base, 0x8600
    one3 '#GP through a gate of 16 bits', mov cr3, eax
    idtgate_ 13, CODE32, sys_stubs + 13 * 8, 0x8e00
    arrives_on ring1_top
    interrupt 'to ring 1', 0xee, CODE_R1, arrive_iret
    idtgate_ 12, CODE_R1, arrive_stop, 0x8e00
    idtgate_ 6, CODE_R1, arrive_stop, 0x8e00
    one3 '#UD to ring 1, gate for ring 0', ud2
    idtgate_ 6, CODE32, sys_stubs + 6 * 8, 0x8e00
    idtgate_ 12, CODE32, sys_stubs + 12 * 8, 0x8e00
    arrives_on user_top
    interrupt 'to conforming DPL 0', 0xee, CONF0, arrive_iret
    interrupt 'to ring 3', 0xee, USER_CODE, arrive_iret
    interrupt 'gate for ring 0', 0x8e, CODE32, arrive_iret
    interrupt 'gate for ring 0, not present', 0x0e, CODE32, arrive_iret
    interrupt 'not present', 0x6e, CODE32, arrive_iret
    mov dword [try_flags], EFL_IOPL3 | 2
    idtgate_ 0x30, USER_CODE, arrive_stop, 0xee00
    one 'ring 0 to ring 3', int 0x30
    idtgate_ 6, USER_CODE, arrive_stop, 0xee00
    one '#UD of ring 0 to ring 3', ud2
    idtgate_ 6, CODE32, sys_stubs + 6 * 8, 0x8e00
    idtgate_ 0x30, CONF0, arrive_iret, 0x8e00
    try 'ring 0 to conforming'
    arrives_here
    int 0x30
    endtry0
    idtgate_ 0x30, CODE32, arrive_iret, 0x8f00
    try 'ring 0, trap gate, NT and IF set'
    push dword EFL_NT | EFL_IF | 2
    popfd
    arrives_here
    int 0x30
    cli
    ud2
    endtry0
    ret

mask_interrupts:
    push eax
    outp 0x21, 0xff
    outp 0xa1, 0xff
    pop eax
    ret

; Stacks for ring 1 that do not work, by gate, by INT and by exception (EXT set in the error code).
bad_stacks:
    line 'bad inner stacks: call gate, int, exception'
    callgate_ GATE, CODE_R1, arrive_stop, GATE32 | FOR_R3, 0
    idtgate_ 0x30, CODE_R1, arrive_stop, 0xee00
    idtgate_ 6, CODE_R1, arrive_stop, 0x8e00
%macro bad_stack 2-3 ring1_top
    mov dword [sys_tss + 12], %3
    mov dword [sys_tss + 16], %2
    one3 %1, call GATE:0
    one3 %1, int 0x30
    one3 %1, ud2
%endmacro
    bad_stack 'null', 0
    bad_stack 'null, RPL 1', 1
    bad_stack 'RPL 0', DATA_R1 & ~3
    bad_stack 'RPL 3', DATA_R1 | 3
    bad_stack 'DPL 0', DATA32 | 1
    bad_stack 'code', CODE_R1
    bad_stack 'read-only', READ_R1
    bad_stack 'beyond the table', 0xfff9
    bad_stack 'beyond the local table', 0xfffd
    bad_stack 'not present', DATA_GONE
    bad_stack 'too small', SMALL_R1, 8
    call inner_stacks
    seg_ SYS_TSS, sys_tss, 0x10, 0x89, 0
    mov eax, SYS_TSS
    ltr ax
    one3 'TSS too short', call GATE:0
    one3 'TSS too short', int 0x30
    one3 'TSS too short', ud2
    seg_ SYS_TSS, sys_tss, 0x67, 0x89, 0
    ltr ax
    idtgate_ 6, CODE32, sys_stubs + 6 * 8, 0x8e00
    ret

; Fill a TSS: name, EIP, stack.
%macro task 3
    mov edi, %1
    mov ecx, 26
    xor eax, eax
    rep stosd
    mov edi, %1
    mov dword [edi + 4], %3
    mov dword [edi + 8], DATA32
    mov dword [edi + 0x20], %2
    mov dword [edi + 0x24], 2
    mov dword [edi + 0x38], %3
    mov dword [edi + 0x3c], 0x66666666
    mov dword [edi + 0x4c], CODE32
    mov dword [edi + 0x48], DATA32
    mov dword [edi + 0x50], DATA32
    mov dword [edi + 0x54], DATA32
    mov word [edi + 0x66], 0x68
%endmacro

task_gates:
    line 'task gates'
    seg_ TSS_A, tss_a, 0x67, 0x89, 0
    seg_ TSS_B, tss_b, 0x67, 0x89, 0
    seg_ TSS_C, tss_c, 0x67, 0x89, 0
    task tss_a, task_reports, task_a_top
    idtgate_ 0x30, TSS_A, 0, 0xe500
    try3 'int by a task gate'
    int 0x30
    endtry
    idtgate_ 0x30, TSS_A, 0, 0x8500
    one3 'gate for ring 0', int 0x30
    idtgate_ 0x30, TSS_A, 0, 0x6500
    one3 'gate not present', int 0x30
    idtgate_ 0x30, SYS_TSS, 0, 0xe500
    one3 'busy', int 0x30
    idtgate_ 0x30, DATA32, 0, 0xe500
    one3 'not a TSS', int 0x30
    idtgate_ 0x30, 0, 0, 0xe500
    one3 'null', int 0x30
    idtgate_ 0x30, 4, 0, 0xe500
    one3 'in the local table', int 0x30
    seg_ TSS_B, tss_b, 0x67, 0x09, 0
    idtgate_ 0x30, TSS_B, 0, 0xe500
    one3 'TSS not present', int 0x30
    seg_ TSS_B, tss_b, 0x66, 0x89, 0
    one3 'TSS too short', int 0x30
    one 'TSS too short, by jmp', jmp TSS_B:0
    seg_ TSS_B, tss_b, 0x67, 0x89, 0

    ; An exception with an error code: it lies on the new task's stack.
    task tss_a, task_reports, task_a_top
    idtgate_ 13, TSS_A, 0, 0x8500
    one3 '#GP by a task gate', mov cr3, eax
    task tss_a, task_reports, task_a_top
    idtgate_ 13, TSS_A, 0, 0x8500
    try3 '#GP with a selector'
    mov eax, DATA32
    mov ds, eax
    endtry
    idtgate_ 13, CODE32, sys_stubs + 13 * 8, 0x8e00

    ; The stack for ring 0 is bad: #UD becomes #TS becomes #DF, and a task takes it.
    task tss_a, task_reports, task_a_top
    idtgate_ 8, TSS_A, 0, 0x8500
    mov dword [sys_tss + 8], 0
    one3 'double fault by a task gate', ud2
    mov dword [sys_tss + 8], DATA32
    idtgate_ 8, CODE32, sys_stubs + 8 * 8, 0x8e00

    ; A gate that call and jmp take.
    line 'tasks by call, through a gate'
    task tss_a, task_reports, task_a_top
    callgate_ GATE, TSS_A, 0, TASK_GATE | FOR_R3, 0
    one3 'call', call GATE:0
    callgate_ GATE, TSS_A, 0, TASK_GATE, 0
    one3 'gate for ring 0', call GATE:0
    callgate_ GATE, TSS_A, 0, TASK_GATE & 0x7f | FOR_R3, 0
    one3 'gate not present', call GATE:0
    callgate_ GATE, SYS_TSS, 0, TASK_GATE | FOR_R3, 0
    one3 'busy', call GATE:0

    ; Tasks that cannot start: the exception belongs to the new task. Task C takes it.
    line 'tasks that cannot start'
    idtgate_ 10, TSS_C, 0, 0x8500
    idtgate_ 11, TSS_C, 0, 0x8500
    idtgate_ 12, TSS_C, 0, 0x8500
    idtgate_ 13, TSS_C, 0, 0x8500
%macro bad_task 3
    task tss_b, task_never, task_b_top
    task tss_c, task_reports, task_c_top
    mov dword [tss_b + %2], %3
    try %1
    call TSS_B:0
    endtry0
%endmacro
    bad_task 'cs null', 0x4c, 0
    bad_task 'cs data', 0x4c, DATA32
    bad_task 'cs not present', 0x4c, GONE
    bad_task 'cs RPL 3 of DPL 0', 0x4c, CODE32 | 3
    bad_task 'ss null', 0x50, 0
    bad_task 'ss RPL 3', 0x50, DATA32 | 3
    bad_task 'ss code', 0x50, CODE32
    bad_task 'ss not present', 0x50, DATA_GONE
    bad_task 'ds code that cannot be read', 0x54, SYS_TSS
    bad_task 'ds not present', 0x54, DATA_GONE
    bad_task 'es beyond the table', 0x48, 0xfff8
    bad_task 'ldt data', 0x60, DATA32
    bad_task 'ldt in the local table', 0x60, 4
    bad_task 'eip beyond the limit', 0x4c, SMALL
    ret

task_never:
    ud2

; A task that tells who it interrupted and what lies on its stack, then makes the main task go on behind the case.
task_reports:
    pushfd
    pop eax
    say ' task, fl='
    hex eax, 6
    str eax
    say ' tr='
    hex eax, 4
    and eax, ~7
    mov edi, [sys_gdt + eax + 2]    ; its base, below 16 MiB
    and edi, 0xffffff
    movzx eax, word [edi]
    say ' link='
    hex eax, 4
    cmp esp, [edi + 4]              ; ESP0 is where the stack begins
    je .from
    say ' e='
    hex [esp + 4], 4
.from:
    mov esi, [sys_gdt + eax + 2]
    and esi, 0xffffff
    say ' eip='
    mov eax, [esi + 0x20]
    mov edx, -1
    call show_stacked
    say ' cs='
    hex [esi + 0x4c], 4
    say ' fl='
    mov eax, [esi + 0x24]
    and eax, ~0x8d5
    hex eax, 6
    say ' esp='
    mov eax, [esi + 0x38]
    call show_stacked
    clts
    ; Every other task is over: the main one is entered as if it had called this one.
    mov byte [sys_gdt + TSS_A + 5], 0x89
    mov byte [sys_gdt + TSS_B + 5], 0x89
    mov byte [sys_gdt + TSS_C + 5], 0x89
    mov byte [sys_gdt + SYS_TSS + 5], 0x8b
    str eax
    mov byte [sys_gdt + eax + 5], 0x8b
    mov word [edi], SYS_TSS
    mov esi, sys_tss
    mov eax, [try_esp]
    mov [esi + 0x38], eax
    mov eax, [try_resume]
    mov [esi + 0x20], eax
    mov dword [esi + 0x24], 2
    mov word [esi + 0x4c], CODE32
    mov word [esi + 0x48], DATA32
    mov word [esi + 0x50], DATA32
    mov word [esi + 0x54], DATA32
    mov word [esi + 0x58], DATA32
    mov word [esi + 0x5c], DATA32
    mov word [esi + 0x60], SYS_LDT
    push dword EFL_NT | 2
    popfd
    iretd

far_conforming:
    dd arrive_retf
    dw CONF0

BSS
    SYS32_BSS
    reserve_to
tss_a:        resb 104
tss_b:        resb 104
tss_c:        resb 104
arrived_cs:   resd 1
arrival_top:  resd 1
arrival_size: resb 1
seen:         resw 4
    reserve_to
              resb 1024
ring1_top:
              resb 1024
task_a_top:
              resb 1024
task_b_top:
              resb 1024
task_c_top:
ENDBSS
