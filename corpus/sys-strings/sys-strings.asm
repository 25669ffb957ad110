; Instructions that stop in the middle (Intel SDM volume 2, REP and the stack instructions; volume 3, 6.6): page and
; segment faults inside string instructions in both directions and at every operand, registers at the fault, repair
; and resumption; repeated strings under a timer; address-size wrapping; faults inside PUSHA, POPA, ENTER, CALL, RET,
; IRET, INT and the rest of the stack instructions, which must leave everything as it was.
; Pages from WINDOW on: 0 and 1 writable, 2 absent, 3 writable, 4 read-only, 5 writable, 6 absent.

%define GUEST 'sys-strings'
%include "pvh.inc"
%include "sys32.inc"

P           equ 1
RW          equ 2
US          equ 4
PS          equ 0x80
CR0_WP      equ 0x10000
CR0_PG      equ 0x80000000
CR4_PSE     equ 0x10
WINDOW      equ 0x800000
ABSENT      equ WINDOW + 0x2000
READ_ONLY   equ WINDOW + 0x4000
LAST_ABSENT equ WINDOW + 0x6000
BIG         equ 0x400000            ; a MiB to copy, and its target behind it
SMALL       equ 0x48                ; data segment of 0x1000 bytes at WINDOW
IRQ0        equ 0x20

%macro regs 0
    call show_regs
%endmacro

main:
    call sys_init
    mov dword [pd], P | RW | PS
    mov dword [pd + 4], 0x400000 | P | RW | PS
    mov dword [pd + (WINDOW >> 22) * 4], table + (P | RW)
    mov dword [table + 0], frames + (P | RW)
    mov dword [table + 4], frames + 0x1000 + (P | RW)
    mov dword [table + 12], frames + 0x3000 + (P | RW)
    mov dword [table + 16], frames + 0x4000 + P
    mov dword [table + 20], frames + 0x5000 + (P | RW)
    seg_ SMALL, WINDOW, 0xfff, ACC_DATA, 4
    mov eax, cr4
    or eax, CR4_PSE
    mov cr4, eax
    mov eax, pd
    mov cr3, eax
    mov eax, cr0
    or eax, CR0_PG | CR0_WP
    mov cr0, eax

    call fill
    call string_faults
    call segment_faults
    call counts
    call repaired
    call stack_faults
    call others
    call under_timer
    mov eax, cr0
    and eax, ~CR0_PG
    mov cr0, eax
    ret

; Pages 0 and 1 hold 0, 1, 2, … in bytes.
fill:
    mov edi, frames
    mov ecx, 0x6000
    xor eax, eax
.next:
    stosb
    inc al
    loop .next
    ret

show_regs:
    pushfd
    push eax
    say '  eax '
    hex eax, 8
    say ' ecx '
    hex ecx, 8
    say ' esi '
    hex esi, 8
    say ' edi '
    hex edi, 8
    say 10
    pop eax
    popfd
    cld
    ret

string_faults:
    line 'page faults in strings'
    xor esi, esi
    try 'rep stosb'
    mov edi, ABSENT - 3
    mov ecx, 8
    mov eax, 0x11223344
    rep stosb
    endtry0
    regs
    try 'rep stosd, across'
    mov edi, ABSENT - 6
    mov ecx, 8
    rep stosd
    endtry0
    regs
    say '  bytes '
    hex [ABSENT - 8], 8
    say ' '
    hex [ABSENT - 4], 8
    say 10
    try 'rep stosb, down'
    std
    mov edi, WINDOW + 0x3002
    mov ecx, 8
    rep stosb
    endtry0
    regs
    try 'rep stosd, down, across'
    std
    mov edi, WINDOW + 0x3006
    mov ecx, 8
    rep stosd
    endtry0
    regs
    try 'rep stosb, read-only'
    mov edi, READ_ONLY - 2
    mov ecx, 8
    rep stosb
    endtry0
    regs
    try 'rep movsb, source'
    mov esi, ABSENT - 4
    mov edi, WINDOW
    mov ecx, 8
    rep movsb
    endtry0
    regs
    try 'rep movsb, target'
    mov esi, WINDOW
    mov edi, ABSENT - 4
    mov ecx, 8
    rep movsb
    endtry0
    regs
    try 'rep movsb, both at once'
    mov esi, ABSENT - 4
    mov edi, LAST_ABSENT - 4
    mov ecx, 8
    rep movsb
    endtry0
    regs
    try 'rep movsd, source across'
    mov esi, ABSENT - 5
    mov edi, WINDOW
    mov ecx, 8
    rep movsd
    endtry0
    regs
    try 'rep movsw, target across'
    mov esi, WINDOW
    mov edi, ABSENT - 3
    mov ecx, 8
    rep movsw
    endtry0
    regs
    try 'movsd, target'
    mov esi, WINDOW
    mov edi, ABSENT
    mov ecx, 8
    movsd
    endtry0
    regs
    try 'rep lodsb'
    mov esi, ABSENT - 2
    mov ecx, 8
    mov eax, 0x55555555
    rep lodsb
    endtry0
    regs
    try 'rep lodsd, down'
    std
    mov esi, WINDOW + 0x3004
    mov ecx, 8
    rep lodsd
    endtry0
    regs
    try 'repne scasb'
    mov edi, ABSENT - 2
    mov ecx, 8
    mov eax, 0x777777aa
    cmp al, al
    repne scasb
    endtry0
    regs
    call fill
    try 'repe cmpsb, source'
    mov esi, ABSENT - 3
    mov edi, WINDOW + 0xffd
    mov ecx, 8
    stc
    repe cmpsb
    endtry0
    regs
    try 'repe cmpsb, target'
    mov esi, WINDOW + 0xffd
    mov edi, ABSENT - 3
    mov ecx, 8
    mov eax, 1
    cmp eax, 2
    repe cmpsb
    endtry0
    regs
    try 'rep outsb'
    mov esi, ABSENT - 2
    mov edx, 0x80
    mov ecx, 8
    rep outsb
    endtry0
    regs
    try 'rep insb'
    mov edi, ABSENT - 2
    mov edx, 0x80
    mov ecx, 8
    rep insb
    endtry0
    regs
    try 'rep stosb of nothing'
    mov edi, ABSENT
    xor ecx, ecx
    rep stosb
    endtry0
    regs
    try 'rep movsb of nothing'
    mov esi, ABSENT
    mov edi, ABSENT
    rep movsb
    endtry0
    regs
    call fill
    ret

segment_faults:
    line 'segment limits in strings'
    try 'rep stosb'
    mov eax, SMALL
    mov es, eax
    mov edi, 0xffe
    mov ecx, 8
    rep stosb
    push ds
    pop es
    endtry0
    regs
    try 'rep stosd, across'
    mov eax, SMALL
    mov es, eax
    mov edi, 0xff6
    mov ecx, 8
    rep stosd
    push ds
    pop es
    endtry0
    regs
    try 'rep stosb, down to zero'
    mov eax, SMALL
    mov es, eax
    std
    mov edi, 2
    mov ecx, 8
    rep stosb
    push ds
    pop es
    endtry0
    regs
    try 'rep movsb, source by fs'
    mov eax, SMALL
    mov fs, eax
    mov esi, 0xffd
    mov edi, WINDOW
    mov ecx, 8
    fs rep movsb
    endtry0
    regs
    try 'es null, nothing to do'
    xor ecx, ecx
    mov es, ecx
    mov edi, 0
    rep stosb
    push ds
    pop es
    endtry0
    call fill
    ret

counts:
    line 'counts and addresses of 16 bits'
    mov esi, 0x1234fffe
    mov edi, 0x56780ffe
    mov ecx, 0x9abc0004
    mov byte [0x0fff], 0
    a16 rep stosb
    regs
    mov esi, 0xaaaa7ffe
    mov ecx, 0xbbbb0004
    a16 rep lodsb
    and eax, 0
    regs
    mov edi, 0xccccffff
    mov ecx, 0x00010002
    mov eax, 0x11
    a16 rep stosb
    regs
    std
    mov edi, 0xcccc0001
    mov ecx, 0x00010003
    a16 rep stosw
    regs
    mov ecx, 0x00010000
    mov edi, 0x12345678
    a16 rep stosb
    regs
    ; F2 before MOVS, STOS and LODS repeats as F3 does.
    mov ecx, 3
    mov esi, WINDOW
    mov edi, WINDOW + 0x100
    db 0xf2, 0xa4
    xor eax, eax
    regs
    mov ecx, 3
    db 0xf2, 0xaa
    regs
    ; Comparisons: where they stop, and flags without an iteration.
    mov edi, WINDOW
    mov ecx, 100
    mov eax, 5
    repne scasb
    pushfd
    regs
    pop eax
    and eax, 0x8d5
    regs
    mov esi, WINDOW
    mov edi, WINDOW + 0x100
    mov ecx, 0x300
    repe cmpsb
    pushfd
    pop eax
    and eax, 0x8d5
    regs
    xor ecx, ecx
    mov eax, 1
    cmp eax, 2
    repe cmpsb
    pushfd
    pop eax
    and eax, 0x8d5
    regs
    ; Overlap: bytes move one by one.
    call fill
    mov esi, WINDOW
    mov edi, WINDOW + 1
    mov ecx, 16
    rep movsb
    mov eax, [WINDOW + 13]
    regs
    mov esi, WINDOW
    mov edi, WINDOW + 2
    mov ecx, 4
    rep movsd
    mov eax, [WINDOW + 13]
    regs
    call fill
    ret

; A handler that makes the page good and goes on in the middle.
repaired:
    line 'repaired and resumed'
    mov dword [try_hook], on_repair
%macro away 0
    mov dword [table + 8], 0
    invlpg [ABSENT]
    mov dword [repairs], 0
%endmacro
    away
    mov esi, WINDOW
    mov edi, WINDOW + 0x1800
    mov ecx, 0x1000
    rep movsb
    call repair_result
    mov eax, [WINDOW + 0x27fc]
    regs
    away
    mov edi, WINDOW + 0x1fff
    mov ecx, 0x401
    mov eax, 0x87654321
    rep stosd
    call repair_result
    mov eax, [WINDOW + 0x2ffc]
    regs
    away
    std
    mov edi, WINDOW + 0x3001
    mov ecx, 0x1003
    mov al, 0x99
    rep stosb
    call repair_result
    mov eax, [WINDOW + 0x1ffc]
    regs
    away
    mov edi, WINDOW + 0x1fff
    mov ecx, 0x1004
    repe scasb
    pushfd
    call repair_result
    pop eax
    and eax, 0x8d5
    regs
    call open_user
    away
    try3 'pushad, popad'
    mov esp, ABSENT + 0x10
    mov eax, 0x10101010
    mov ecx, 0x20202020
    pushad
    mov ecx, [ABSENT + 8]
    popad
    mov eax, [ABSENT + 12]
    ud2
    endtry
    call repair_result
    regs
    away
    try3 'push of memory across, to the stack across'
    mov esp, WINDOW + 0x3002
    mov dword [WINDOW + 0x3000], 0x33333333
    push dword [WINDOW + 0x1ffe]
    pop eax
    ud2
    endtry
    call repair_result
    away
    try3 'xchg across'
    mov eax, 0xabcdabcd
    mov word [ABSENT - 2], 0x7777
    xchg [ABSENT - 2], eax
    ud2
    endtry
    call repair_result
    and eax, 0xffff
    regs
    call close_user
    away
    mov dword [try_hook], 0
    call fill
    ret

; How often it was needed. Keeps everything.
repair_result:
    pushfd
    cld
    say 'repairs '
    dec_ [repairs]
    say 10
    popfd
    ret

; #PF on page 2: map it and go on. EBP is the frame's register block.
on_repair:
    cmp ebx, 14
    jne .other
    mov eax, cr2
    shr eax, 12
    cmp eax, ABSENT >> 12
    jne .other
    inc dword [repairs]
    mov dword [table + 8], frames + 0x2000 + (P | RW | US)
    test dword [esi + 4], 3
    jz .ring0
    mov eax, USER_DATA
    mov ds, eax
    mov es, eax
.ring0:
    mov esp, ebp
    popad
    add esp, 8                      ; vector and error code
    iretd
.other:
    ret

stack_faults:
    line 'stack instructions, ring 3'
    call open_user
%macro on_page 2
    try3 %1
    mov esp, %2
    mov eax, 0x11111111
    mov ebp, WINDOW + 0x3800
%endmacro
    on_page 'push at the absent page', LAST_ABSENT - 0x3000
    push eax
    endtry
    on_page 'push across', LAST_ABSENT - 0x3000 + 2
    push eax
    endtry
    on_page 'push of memory that is absent', WINDOW + 0x3100
    push dword [ABSENT]
    endtry
    on_page 'pop at the absent page', ABSENT
    pop eax
    endtry
    on_page 'pop across', ABSENT - 2
    pop eax
    endtry
    on_page 'pop to memory that is absent', WINDOW + 0x3100
    pop dword [ABSENT]
    endtry
    on_page 'pop to memory that is read-only', WINDOW + 0x3100
    pop dword [READ_ONLY]
    endtry
    on_page 'pop to its own stack, across', ABSENT - 6
    pop dword [esp]
    endtry
    on_page 'pushad across', WINDOW + 0x3010
    pushad
    endtry
    on_page 'popad across', ABSENT - 0x10
    popad
    endtry
    say '  eax '
    hex eax, 8
    say ' ebp '
    hex ebp, 8
    say 10
    on_page 'pushfd', WINDOW + 0x3002
    pushfd
    endtry
    on_page 'popfd', ABSENT - 2
    popfd
    endtry
    on_page 'push fs', WINDOW + 0x3000
    push fs
    endtry
    on_page 'pop fs', ABSENT
    pop fs
    endtry
    on_page 'call', WINDOW + 0x3002
    call .never
.never:
    endtry
    on_page 'call by memory that is absent', WINDOW + 0x3100
    call [ABSENT]
    endtry
    on_page 'far call, second push', WINDOW + 0x3006
    call USER_CODE:.never2
.never2:
    endtry
    on_page 'ret', ABSENT - 2
    ret
    endtry
    on_page 'ret 8', ABSENT
    ret 8
    endtry
    on_page 'far ret, second pop', ABSENT - 4
    retf
    endtry
    on_page 'iret, third pop', ABSENT - 8
    iretd
    endtry
    on_page 'enter', WINDOW + 0x3002
    enter 0, 0
    endtry
    on_page 'enter, frame behind the page', WINDOW + 0x3010
    enter 0x20, 0
    endtry
    on_page 'enter of level 3, pushes', WINDOW + 0x300c
    enter 0, 3
    endtry
    on_page 'enter of level 3, old frames absent', WINDOW + 0x3100
    mov ebp, ABSENT + 4
    enter 0, 3
    endtry
    say '  ebp '
    hex ebp, 8
    say 10
    on_page 'leave', WINDOW + 0x3100
    mov ebp, ABSENT - 2
    leave
    endtry
    say '  ebp '
    hex ebp, 8
    say 10
    on_page 'int3 does not use this stack', ABSENT
    int3
    endtry
    on_page 'push esp, pop esp', WINDOW + 0x3100
    push esp
    pop eax
    sub eax, esp
    push dword WINDOW + 0x3200
    pop esp
    ud2
    endtry
    say '  difference '
    hex eax, 8
    say 10
    on_page 'pop to an address by esp', WINDOW + 0x3100
    push dword 0x1234abcd
    pop dword [esp + 4]
    mov eax, [esp + 4]
    ud2
    endtry
    say '  value '
    hex eax, 8
    say 10
    call close_user
    ret

; The window and the rest for ring 3.
open_user:
    or dword [pd], 4
    or dword [pd + (WINDOW >> 22) * 4], 4
    mov ecx, 6
.next:
    or dword [table + ecx * 4 - 4], 4
    loop .next
    and dword [table + 8], 0
    mov eax, cr3
    mov cr3, eax
    ret
close_user:
    and dword [pd], ~4
    and dword [pd + (WINDOW >> 22) * 4], ~4
    mov eax, cr3
    mov cr3, eax
    ret

; Read-modify-write and other instructions that touch two places.
others:
    line 'others'
    xor esi, esi
    xor edi, edi
    mov eax, 0x10
    mov edx, 0x20
    mov ecx, 0x30
    try 'xadd to read-only'
    xadd [READ_ONLY], eax
    endtry0
    regs
    try 'xchg with read-only'
    xchg [READ_ONLY], eax
    endtry0
    regs
    try 'cmpxchg that would fail, read-only'
    cmpxchg [READ_ONLY], ecx
    endtry0
    regs
    try 'cmpxchg8b across'
    cmpxchg8b [ABSENT - 4]
    endtry0
    regs
    try 'les across'
    les ecx, [ABSENT - 4]
    endtry0
    regs
    try 'bound across'
    bound ecx, [ABSENT - 4]
    endtry0
    try 'lgdt across'
    lgdt [ABSENT - 2]
    endtry0
    try 'sgdt across'
    sgdt [ABSENT - 2]
    endtry0
    try 'fstp tword across'
    fninit
    fld1
    fstp tword [ABSENT - 4]
    endtry0
    fnstsw ax
    and eax, 0x3800
    regs
    try 'fnstenv across'
    fnstenv [ABSENT - 8]
    endtry0
    try 'shld of memory, read-only'
    shld [READ_ONLY], eax, 4
    endtry0
    try 'neg, read-only'
    neg dword [READ_ONLY]
    endtry0
    try 'not across'
    not dword [ABSENT - 1]
    endtry0
    try 'rol by zero, read-only'
    xor ecx, ecx
    rol dword [READ_ONLY], cl
    endtry0
    try 'xlat'
    mov ebx, ABSENT - 0x80
    mov al, 0x80
    xlatb
    endtry0
    fninit
    ret

; Repeated strings with a timer: every tick must find a consistent state, the whole must come out right.
under_timer:
    line 'under a timer'
    call pic
    idtgate_ IRQ0, CODE32, on_tick, 0x8e00
    mov edi, BIG
    mov ecx, 0x100000
    xor eax, eax
.pattern:
    mov [edi], al
    inc edi
    add eax, 0x9d
    loop .pattern
    say 'rep movsb: '
    mov dword [at_instruction], .movsb
.again_movsb:
    mov esi, BIG
    mov edi, BIG + 0x100000
    mov ecx, 0x100000
    mov [ecx0], ecx
    mov [esi0], esi
    mov [edi0], edi
    sti
.movsb:
    rep movsb
    cli
    call enough
    jb .again_movsb
    call timer_result
    mov esi, BIG
    mov edi, BIG + 0x100000
    mov ecx, 0x100000 / 4
    repe cmpsd
    jne .differ
    line 'equal'
    say 'rep stosd: '
    mov dword [at_instruction], .stosd
    mov dword [esi_step], 0
    mov dword [edi_step], 4
.again_stosd:
    mov edi, BIG + 0x100000
    mov ecx, 0x40000
    mov eax, 0x5aa5c33c
    mov [ecx0], ecx
    mov [esi0], esi
    mov [edi0], edi
    sti
.stosd:
    rep stosd
    cli
    call enough
    jb .again_stosd
    call timer_result
    mov edi, BIG + 0x100000
    mov ecx, 0x40000
    mov eax, 0x5aa5c33c
    repe scasd
    jne .differ
    line 'equal'
    say 'repe cmpsb: '
    mov dword [at_instruction], .cmpsb
    mov dword [esi_step], 1
    mov dword [edi_step], 1
    mov esi, BIG
    mov edi, BIG + 0x100000
    mov ecx, 0x100000
    rep movsb
.again_cmpsb:
    mov esi, BIG
    mov edi, BIG + 0x100000
    mov ecx, 0x100000
    mov [ecx0], ecx
    mov [esi0], esi
    mov [edi0], edi
    sti
.cmpsb:
    repe cmpsb
    cli
    jne .differ
    call enough
    jb .again_cmpsb
    call timer_result
    say 'repne scasb, down: '
    mov dword [at_instruction], .scasb
    mov dword [esi_step], 0
    mov dword [edi_step], -1
    mov edi, BIG
    mov ecx, 0x40000
    xor eax, eax
    rep stosd
.again_scasb:
    mov edi, BIG + 0xfffff
    mov ecx, 0x100000
    mov al, 1
    mov [ecx0], ecx
    mov [esi0], esi
    mov [edi0], edi
    std
    sti
.scasb:
    repne scasb
    cli
    cld
    je .differ
    call enough
    jb .again_scasb
    call timer_result
    outp 0x21, 0xff
    ret
.differ:
    fail 'the data differ'

; CF while it should be tried again: fewer than three ticks in the middle, and fewer than fifty tries.
enough:
    inc dword [tries]
    cmp dword [tries], 50
    jae .end
    cmp dword [ticks], 3
.end:
    ret

timer_result:
    cmp dword [ticks], 0
    jne .interrupted
    say 'never '
.interrupted:
    say 'interrupted, '
    cmp dword [inconsistent], 0
    je .good
    say 'in'
.good:
    say 'consistent, RF '
    mov eax, [rf_seen]
    dec_ eax
    say 10
    xor eax, eax
    mov [ticks], eax
    mov [tries], eax
    mov [inconsistent], eax
    mov [rf_seen], eax
    ret

; A tick in the middle of the repeated instruction counts, and its registers are checked.
on_tick:
    pushad
    cld
    outp 0x20, 0x20
    mov eax, [esp + 32]
    cmp eax, [at_instruction]
    jne .done
    mov ecx, [ecx0]
    sub ecx, [esp + 24]             ; iterations done
    jz .done                        ; at its start
    inc dword [ticks]
    test dword [esp + 40], EFL_RF
    jz .no_rf
    mov dword [rf_seen], 1
.no_rf:
    mov eax, ecx
    imul eax, [esi_step]
    add eax, [esi0]
    cmp eax, [esp + 4]
    jne .bad
    imul ecx, [edi_step]
    add ecx, [edi0]
    cmp ecx, [esp]
    je .done
.bad:
    inc dword [inconsistent]
.done:
    popad
    iretd

; 8259 at 0x20, the timer every 0.5 ms.
pic:
    outp 0x20, 0x11
    outp 0xa0, 0x11
    outp 0x21, 0x20
    outp 0xa1, 0x28
    outp 0x21, 4
    outp 0xa1, 2
    outp 0x21, 1
    outp 0xa1, 1
    outp 0x21, 0xfe
    outp 0xa1, 0xff
    outp 0x43, 0x34
    outp 0x40, 596 & 0xff
    outp 0x40, 596 >> 8
    mov dword [esi_step], 1
    mov dword [edi_step], 1
    ret

BSS
    SYS32_BSS
    reserve_to 4096
pd:             resb 4096
table:          resb 4096
frames:         resb 7 * 4096
saved_esp:      resd 1
repairs:        resd 1
ticks:          resd 1
tries:          resd 1
inconsistent:   resd 1
rf_seen:        resd 1
at_instruction: resd 1
ecx0:           resd 1
esi0:           resd 1
edi0:           resd 1
esi_step:       resd 1
edi_step:       resd 1
ENDBSS
