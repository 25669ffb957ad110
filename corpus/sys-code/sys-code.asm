; Code that changes and code that crosses (Intel SDM volume 3, 8.1.3, 11.6): stores to the next instruction, to the
; instruction itself, to a loop that runs, by string instructions, across pages, through aliases and by a port read;
; instructions that lie in two pages, with the second absent, not executable by rights, changed or remapped; an
; instruction of fifteen bytes, prefixes that run over the page, branches to the last byte.

%define GUEST 'sys-code'
%include "pvh.inc"
%include "sys32.inc"

P           equ 1
RW          equ 2
US          equ 4
PS          equ 0x80
CR0_WP      equ 0x10000
CR0_PG      equ 0x80000000
CR4_PSE     equ 0x10
WINDOW      equ 0x800000            ; pages 0–3 are frames 0–3; 4 is frame 0 again
ALIAS       equ WINDOW + 0x4000
EDGE        equ WINDOW + 0x1000     ; between pages 0 and 1

; Bytes to an address: address, bytes.
%macro put 2+
    call put_bytes
    dd %1
    db %%end - %%begin
%%begin:
    db %2
%%end:
%endmacro

; Run what lies at an address and print EAX.
%macro run 2
    say %1, ': '
    mov eax, %2
    call run_at
%endmacro

main:
    call sys_init
    mov dword [pd], P | RW | PS
    mov dword [pd + (WINDOW >> 22) * 4], table + (P | RW | US)
    mov dword [table], frames + (P | RW | US)
    mov dword [table + 4], frames + 0x1000 + (P | RW | US)
    mov dword [table + 8], frames + 0x2000 + (P | RW | US)
    mov dword [table + 12], frames + 0x3000 + (P | RW | US)
    mov dword [table + 16], frames + (P | RW | US)
    mov eax, cr4
    or eax, CR4_PSE
    mov cr4, eax
    mov eax, pd
    mov cr3, eax
    mov eax, cr0
    or eax, CR0_PG | CR0_WP
    mov cr0, eax
    mov edi, WINDOW
    mov ecx, 0x1000
    mov eax, 0xcccccccc
    rep stosd

    call changes
    call crossings
    mov eax, cr0
    and eax, ~CR0_PG
    mov cr0, eax
    ret

put_bytes:
    pushad
    mov esi, [esp + 32]
    mov edi, [esi]
    movzx ecx, byte [esi + 4]
    add esi, 5
    rep movsb
    mov [esp + 32], esi
    popad
    ret

run_at:
    pushad
    mov ebx, eax
    xor eax, eax
    call ebx
    cld
    hex eax, 8
    say 10
    popad
    ret

changes:
    line 'self-modifying'
    say 'next instruction: '
    mov byte [.next + 1], 1
    xor eax, eax
    mov byte [.next + 1], 2
.next:
    mov al, 1
    hex eax, 2
    say 10
    say 'next but one: '
    mov byte [.but_one + 1], 3
    nop
.but_one:
    mov al, 1
    hex eax, 2
    say 10
    say 'the opcode of the next: '
    mov eax, 5
    mov byte [.opcode], 0x48        ; DEC EAX for INC EAX
.opcode:
    inc eax
    hex eax, 2
    say 10
    say 'itself, a second time: '
    xor ecx, ecx
.itself:
    mov byte [.itself + 6], 9       ; its own immediate: the same bytes run once as 9, then as 7
    movzx eax, byte [.itself + 6]
    hex eax, 2
    mov byte [.itself + 6], 7
    inc ecx
    cmp ecx, 2
    jb .itself
    say 10
    say 'the length of the next: '
    mov eax, 1
    mov byte [.long], 0x05          ; ADD EAX, imm32 in place of four NOPs and INC
    jmp short .long
.long:
    nop
    nop
    nop
    nop
    nop
    hex eax, 8
    say 10
    say 'a loop that counts its own immediate: '
    mov ecx, 100
    xor eax, eax
    mov dword [.immediate + 1], 0
.immediate:
    add eax, 0x12345678
    inc dword [.immediate + 1]
    loop .immediate
    hex eax, 8
    say 10
    say 'a loop rewritten half-way: '
    mov ecx, 100
    xor eax, eax
    mov byte [.half], 0x40          ; INC EAX
.half:
    inc eax
    cmp ecx, 50
    jne .same
    mov byte [.half], 0x48          ; DEC EAX
.same:
    loop .half
    hex eax, 8
    say 10
    say 'a branch turned round: '
    xor eax, eax
    mov byte [.branch], 0x75
    test al, al
.branch:
    jz .taken
    or al, 1
.taken:
    or al, 2
    hex eax, 2
    say 10
    say 'its target moved: '
    xor eax, eax
    mov byte [.jump + 1], 2
.jump:
    jmp short .one
.one:
    or al, 1
    or al, 2
    hex eax, 2
    say 10
    say 'by push: '
    mov [saved_esp], esp
    mov eax, 0x90900cb0             ; MOV AL, 12
    mov esp, .pushed + 4
    push eax
.pushed:
    mov al, 1
    nop
    nop
    mov esp, [saved_esp]
    hex eax, 2
    say 10
    say 'by rep stosb over itself: '
    put WINDOW + 0x100, 0x57, 0xb9, 6, 0, 0, 0, 0xbf
    mov dword [WINDOW + 0x107], WINDOW + 0x110
    put WINDOW + 0x10b, 0xb0, 0x40, 0xf3, 0xaa, 0x90 ; MOV AL, 0x40; REP STOSB
    put WINDOW + 0x110, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x5f, 0xc3
    mov eax, WINDOW + 0x100
    call run_at
    say 'movsd onto the next: '
    put WINDOW + 0x200, 0xbe
    mov dword [WINDOW + 0x201], WINDOW + 0x280
    put WINDOW + 0x205, 0xbf
    mov dword [WINDOW + 0x206], WINDOW + 0x20b
    put WINDOW + 0x20a, 0xa5, 0xb8, 1, 0, 0, 0, 0xc3
    put WINDOW + 0x280, 0xb8, 0x33, 0x22, 0x11
    mov eax, WINDOW + 0x200
    call run_at
    say 'xchg, add, not: '
    put WINDOW + 0x300, 0xb8, 1, 0, 0, 0, 0xc3
    mov eax, WINDOW + 0x300
    call run_at
    mov al, 0x21
    xchg [WINDOW + 0x301], al
    mov eax, WINDOW + 0x300
    call run_at
    add byte [WINDOW + 0x301], 0x11
    mov eax, WINDOW + 0x300
    call run_at
    not byte [WINDOW + 0x302]
    mov eax, WINDOW + 0x300
    call run_at
    lock bts dword [WINDOW + 0x301], 31
    mov eax, WINDOW + 0x300
    call run_at
    fninit
    fld qword [.code64]
    fstp qword [WINDOW + 0x300]
    mov eax, WINDOW + 0x300
    call run_at
    run 'before an alias writes', WINDOW + 0x300
    mov dword [ALIAS + 0x301], 0x600df00d
    run 'after an alias wrote', WINDOW + 0x300
    mov dword [frames + 0x301], 0x0badcafe
    run 'after the frame was written', WINDOW + 0x300
    mov dword [frames + 0x301], 0x0badcafe
    run 'the alias runs it', ALIAS + 0x300
    mov dword [WINDOW + 0x301], 0x11112222
    run 'the alias again', ALIAS + 0x300
    say 'written by its own alias: '
    put WINDOW + 0x400, 0xc6, 5
    mov dword [WINDOW + 0x402], ALIAS + 0x408
    put WINDOW + 0x406, 0x77, 0xb8, 1, 0, 0, 0, 0xc3
    mov eax, WINDOW + 0x400
    call run_at
    say 'across two pages: '
    put EDGE - 3, 0xb8, 1, 2, 3, 4, 0xc3
    mov eax, EDGE - 3
    call run_at
    mov byte [EDGE - 1], 0x55
    mov eax, EDGE - 3
    call run_at
    mov byte [EDGE], 0x66
    mov eax, EDGE - 3
    call run_at
    mov dword [EDGE - 2], 0x89abcdef
    mov eax, EDGE - 3
    call run_at
    ret
align 8
.code64: db 0xb8, 0x44, 0x33, 0x22, 0x11, 0xc3, 0xcc, 0x3c

crossings:
    line 'crossing'
    put EDGE - 14, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x90, 0x40, 0xc3
    run 'fifteen bytes over the edge', EDGE - 14
    put EDGE - 15, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x90, 0xc3
    try 'sixteen bytes over the edge'
    call at_edge_16
    endtry0
    put EDGE - 16, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0xc3
    try 'sixteen prefixes before the edge'
    call at_edge_prefixes
    endtry0
    put EDGE - 1, 0x40, 0x40, 0xc3
    run 'from the last byte', EDGE - 1
    put EDGE - 2, 0xeb, 0xff, 0xc0, 0xc3  ; JMP to its second byte: FF C0 is INC EAX, over the edge
    run 'into an instruction over the edge', EDGE - 2
    put EDGE - 1, 0xe8, 1, 0, 0, 0, 0xc3, 0x40, 0xc3
    run 'call over the edge', EDGE - 1
    put EDGE - 2, 0x74, 1, 0x40, 0x40, 0xc3
    run 'jz before the edge', EDGE - 2
    put EDGE - 1, 0x74, 1, 0x40, 0x40, 0xc3
    run 'jz over the edge', EDGE - 1
    put EDGE - 1, 0xf3, 0xaa, 0xc3
    mov edi, WINDOW + 0x600
    mov ecx, 5
    run 'rep stosb over the edge', EDGE - 1

    line 'second page'
    put EDGE - 2, 0xb8, 0x11, 0x22, 0x33, 0x44, 0xc3
    mov byte [WINDOW + 0x2000], 0xaa
    put WINDOW + 0x2000, 0xaa, 0xbb, 0xcc, 0xc3
    run 'as it is', EDGE - 2
    mov dword [table + 4], frames + 0x2000 + (P | RW | US)
    invlpg [EDGE]
    run 'remapped', EDGE - 2
    mov dword [table + 4], 0
    invlpg [EDGE]
    try 'absent'
    call at_edge_2
    endtry0
    put EDGE - 6, 0xb8, 1, 0, 0, 0, 0xc3
    run 'not reached', EDGE - 6
    put EDGE - 2, 0x90, 0xc3
    run 'ends before it', EDGE - 2
    put EDGE - 2, 0x0f, 0x0b        ; UD2 needs nothing of it
    try 'ud2, next page absent'
    call at_edge_2
    endtry0
    put EDGE - 2, 0xcd, 0x20
    try 'int 20h, next page absent'
    call at_edge_2
    endtry0
    mov dword [table + 4], frames + 0x1000 + (P | RW)
    invlpg [EDGE]
    put EDGE - 2, 0xb8, 0x11, 0x22, 0x33, 0x44, 0xc3
    or dword [pd], US
    mov eax, cr3
    mov cr3, eax
    try3 'supervisor page, ring 3'
    mov dword [ss:try_start], EDGE - 2
    mov eax, EDGE - 2
    jmp eax
    endtry
    try3 'from the page before it, ring 3'
    mov eax, EDGE - 1
    mov byte [EDGE - 1], 0x90
    mov dword [ss:try_start], EDGE - 1
    jmp eax
    endtry
    mov byte [EDGE - 1], 0x11
    mov dword [table + 4], frames + 0x1000 + (P | RW | US)
    invlpg [EDGE]
    mov dword [table], 0
    invlpg [EDGE - 2]
    try 'first page absent'
    call at_edge_2
    endtry0
    mov dword [table], frames + (P | RW | US)
    run 'both there', EDGE - 2

    line 'data and code of one page'
    put WINDOW + 0xff8, 0xfe, 5      ; INC byte [WINDOW + 0xffe]; the NOP there becomes 0x91, XCHG EAX, ECX
    mov dword [WINDOW + 0xffa], WINDOW + 0xffe
    put WINDOW + 0xffe, 0x90, 0x90
    put EDGE, 0xc3
    mov ecx, 0x1234
    run 'the byte behind the edge of an instruction', WINDOW + 0xff8
    ret

at_edge_16:
    sub dword [try_base], 4
    mov dword [try_start], EDGE - 15
    mov eax, EDGE - 15
    jmp eax
at_edge_prefixes:
    sub dword [try_base], 4
    mov dword [try_start], EDGE - 16
    mov eax, EDGE - 16
    jmp eax
at_edge_2:
    sub dword [try_base], 4
    mov dword [try_start], EDGE - 2
    mov eax, EDGE - 2
    jmp eax

BSS
    SYS32_BSS
    reserve_to 4096
pd:        resb 4096
table:     resb 4096
frames:    resb 4 * 4096
saved_esp: resd 1
ENDBSS
