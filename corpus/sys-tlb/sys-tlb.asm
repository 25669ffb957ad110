; What software may rely on of the TLB and the paging-structure caches (Intel SDM volume 3, 4.10): what INVLPG, MOV to
; CR3, CR4.PGE and other control bits drop, what needs no invalidation, accessed and dirty bits behind a cached entry,
; changes of upper levels, aliases, fetches. Nothing here depends on an entry staying cached.

%define GUEST 'sys-tlb'
%include "pvh.inc"
%include "sys32.inc"

P           equ 1
RW          equ 2
US          equ 4
ACCESSED    equ 0x20
DIRTY       equ 0x40
PS          equ 0x80
G           equ 0x100
CR0_WP      equ 0x10000
CR0_PG      equ 0x80000000
CR4_PSE     equ 0x10
CR4_PGE     equ 0x80

ONE         equ 0x800000            ; pages under test: entry 0, 1, … of `table`
TWO         equ 0x801000
BIG         equ 0xc00000            ; a 4-MiB page
PD_ONE      equ ONE >> 22

%macro map 2
    mov dword [table + (((%1) >> 12) & 1023) * 4], %2
%endmacro

%macro reload 0
    mov eax, cr3
    mov cr3, eax
%endmacro

; Print what a page holds.
%macro show 2
    say %1, ' '
    hex [%2], 8
    say 10
%endmacro

main:
    call sys_init
    mov dword [frame_a], 0xaaaaaaaa
    mov dword [frame_b], 0xbbbbbbbb
    mov dword [frame_c], 0xcccccccc
    mov dword [frame_a + 0xffc], 0xaaaaaaaa
    mov dword [frame_b + 0xffc], 0xbbbbbbbb
    mov dword [pd], P | RW | PS
    mov dword [pd + PD_ONE * 4], table + (P | RW | US)
    mov dword [other_pd], P | RW | PS
    mov dword [other_pd + PD_ONE * 4], other_table + (P | RW | US)
    mov eax, cr4
    or eax, CR4_PSE
    mov cr4, eax
    mov eax, pd
    mov cr3, eax
    mov eax, cr0
    or eax, CR0_PG | CR0_WP
    mov cr0, eax

    line 'leaf changed'
    map ONE, frame_a + (P | RW)
    show 'first', ONE
    map ONE, frame_b + (P | RW)
    invlpg [ONE + 0x123]
    show 'invlpg', ONE
    map ONE, frame_c + (P | RW)
    reload
    show 'cr3', ONE
    map ONE, frame_a + (P | RW)
    mov eax, cr4
    xor eax, CR4_PGE
    mov cr4, eax
    show 'PGE set', ONE
    map ONE, frame_b + (P | RW | G)
    mov eax, cr4
    xor eax, CR4_PGE
    mov cr4, eax
    show 'PGE cleared', ONE
    mov eax, cr4
    or eax, CR4_PGE
    mov cr4, eax
    show 'global', ONE
    map ONE, frame_c + (P | RW | G)
    invlpg [ONE]
    show 'global, invlpg', ONE
    map ONE, frame_a + (P | RW | G)
    mov eax, cr4
    xor eax, CR4_PGE
    mov cr4, eax
    show 'global, PGE cleared', ONE
    map ONE, frame_b + (P | RW)
    mov eax, cr0
    and eax, ~CR0_PG
    mov cr0, eax
    or eax, CR0_PG
    mov cr0, eax
    show 'paging off and on', ONE

    line 'no invalidation needed'
    map TWO, 0
    invlpg [TWO]
    try 'absent'
    mov eax, [TWO]
    endtry0
    map TWO, frame_a + (P | RW)
    show 'made present', TWO
    map TWO, frame_a + P
    invlpg [TWO]
    try 'read-only'
    mov eax, [TWO]
    mov dword [TWO], 0x11111111
    endtry0
    map TWO, frame_a + (P | RW)
    call may_fault_once
    mov dword [TWO], 0x22222222
    call must_not_fault
    show 'made writable', TWO
    mov dword [TWO], 0xaaaaaaaa

    line 'rights taken away'
    mov dword [TWO], 0xaaaaaaaa
    map TWO, frame_a + P
    invlpg [TWO]
    try 'write after invlpg'
    mov dword [TWO], 0x33333333
    endtry0
    mov eax, cr0
    and eax, ~CR0_WP
    mov cr0, eax
    try 'write without WP'
    mov dword [TWO], 0x44444444
    endtry0
    mov eax, cr0
    or eax, CR0_WP
    mov cr0, eax
    try 'write with WP'
    mov dword [TWO], 0x55555555
    endtry0
    show 'holds', TWO
    mov dword [frame_a], 0xaaaaaaaa
    map TWO, 0
    reload
    try 'absent after cr3'
    mov eax, [TWO]
    endtry0

    line 'accessed and dirty'
    map ONE, frame_a + (P | RW)
    invlpg [ONE]
    mov eax, [ONE]
    call show_marks
    mov dword [ONE], 0xaaaaaaaa     ; behind an entry that a read cached
    call show_marks
    and dword [table], ~(ACCESSED | DIRTY)
    invlpg [ONE]
    mov eax, [ONE]
    call show_marks
    lock add dword [ONE], 0
    call show_marks
    and dword [table], ~(ACCESSED | DIRTY)
    and dword [pd + PD_ONE * 4], ~ACCESSED
    reload
    test dword [ONE], 1
    call show_marks
    say 'upper '
    mov eax, [pd + PD_ONE * 4]
    and eax, ACCESSED | DIRTY
    hex eax, 2
    say 10

    line 'upper level changed'
    mov dword [other_table], frame_b + (P | RW)
    map ONE, frame_a + (P | RW)
    invlpg [ONE]
    show 'first', ONE
    mov dword [pd + PD_ONE * 4], other_table + (P | RW)
    invlpg [ONE]
    show 'invlpg', ONE
    mov dword [pd + PD_ONE * 4], table + (P | RW)
    invlpg [0x5000]                 ; elsewhere: the paging-structure caches go whatever the address
    invlpg [ONE]
    show 'invlpg twice', ONE
    mov eax, other_pd
    mov cr3, eax
    show 'another cr3', ONE
    mov eax, pd
    mov cr3, eax
    show 'back', ONE
    mov dword [pd + PD_ONE * 4], table + P
    invlpg [ONE]
    try 'upper read-only'
    mov dword [ONE], 5
    endtry0
    mov dword [pd + PD_ONE * 4], table + (P | RW)
    invlpg [ONE]
    mov dword [ONE], 0xa5a5a5a5
    show 'upper writable', ONE
    mov dword [ONE], 0xaaaaaaaa

    line 'large page'
    mov dword [pd + (BIG >> 22) * 4], P | RW | PS
    mov dword [low_word], 0x10101010
    show 'first', BIG + low_word
    mov dword [pd + (BIG >> 22) * 4], 0x400000 | P | RW | PS
    mov dword [BIG + low_word], 0   ; either page may be hit: neither is looked at
    invlpg [BIG]                    ; any address of the page
    mov dword [BIG + low_word], 0x20202020
    mov dword [pd + (BIG >> 22) * 4], P | RW | PS
    mov dword [low_word], 0x30303030
    invlpg [BIG + 0x3ff000]
    show 'back', BIG + low_word
    mov dword [pd + (BIG >> 22) * 4], 0x400000 | P | RW | PS
    invlpg [BIG + low_word]
    show 'other', BIG + low_word
    mov dword [pd + (BIG >> 22) * 4], big_table + (P | RW)
    mov dword [big_table], frame_c + (P | RW)
    invlpg [BIG + 0x200000]
    show 'split', BIG

    line 'aliases'
    map ONE, frame_a + (P | RW)
    map TWO, frame_a + (P | RW)
    reload
    mov dword [ONE], 0x12121212
    show 'written through the other', TWO
    mov dword [TWO], 0x34343434
    show 'and back', ONE
    xchg eax, [TWO]
    mov eax, 0x56565656
    lock xchg [ONE], eax
    show 'exchanged', TWO

    line 'two pages'
    map ONE, frame_a + (P | RW)
    map TWO, frame_b + (P | RW)
    reload
    mov dword [frame_b], 0xbbbbbbbb
    mov dword [frame_c], 0xcccccccc
    show 'across', ONE + 0xffe
    map TWO, frame_c + (P | RW)
    invlpg [TWO]
    show 'second changed', ONE + 0xffe
    map ONE, frame_b + (P | RW)
    invlpg [ONE]
    show 'first changed', ONE + 0xffe
    map TWO, frame_c + P
    invlpg [TWO]
    try 'write, second read-only'
    mov dword [ONE + 0xffe], 0x77777777
    endtry0
    show 'first half', frame_b + 0xffc
    try 'add, second read-only'
    add dword [ONE + 0xffe], 0x11111111
    endtry0
    show 'first half', frame_b + 0xffc
    map ONE, 0
    invlpg [ONE]
    try 'both bad'
    mov dword [ONE + 0xffe], 0x77777777
    endtry0

    line 'fetches'
    mov dword [frame_a], 0xc30101b0     ; MOV AL, 1; …; RET
    mov byte [frame_a + 2], 0xc3
    mov dword [frame_b], 0xc3c302b0
    mov dword [frame_c], 0xc3c303b0
    map ONE, frame_a + (P | RW)
    invlpg [ONE]
    call run_one
    map ONE, frame_b + (P | RW)
    invlpg [ONE]
    call run_one
    map ONE, frame_c + (P | RW)
    reload
    call run_one
    map TWO, frame_c + (P | RW)
    invlpg [TWO]
    mov byte [TWO + 1], 4           ; the code is changed through an alias
    call run_one
    map ONE, 0
    invlpg [ONE]
    mov eax, ONE
    try 'absent'
    mov [try_base], esp
    sub dword [try_base], 4
    call eax
    endtry0
    map ONE, frame_b + (P | RW)     ; made present again: no invalidation
    call run_one
    ; A page that ends in half an instruction.
    mov dword [frame_a + 0xffc], 0xb0909090
    mov dword [frame_b], 0xc3c305c3
    mov byte [frame_b], 5
    mov byte [frame_c], 6
    mov byte [frame_b + 1], 0xc3
    mov byte [frame_c + 1], 0xc3
    map ONE, frame_a + (P | RW)
    map TWO, frame_b + (P | RW)
    reload
    call run_across
    map TWO, frame_c + (P | RW)
    invlpg [TWO]
    call run_across
    map TWO, 0
    invlpg [TWO]
    mov eax, ONE + 0xffc
    try 'second page absent'
    mov [try_base], esp
    sub dword [try_base], 4
    call eax
    endtry0
    map TWO, frame_b + (P | RW)
    call run_across

    mov eax, cr0
    and eax, ~CR0_PG
    mov cr0, eax
    report_rf
    ret

run_one:
    mov eax, ONE
    jmp run
run_across:
    mov eax, ONE + 0xffc
run:
    call eax
    movzx eax, al
    say 'ran '
    dec_ eax
    say 10
    ret

show_marks:
    say 'leaf '
    mov eax, [table]
    and eax, ACCESSED | DIRTY
    hex eax, 2
    say 10
    ret

; Raising rights needs no invalidation, but one spurious fault is allowed (4.10.4.3): it is swallowed.
may_fault_once:
    mov dword [spurious], 0
    idtgate_ 14, CODE32, on_spurious, 0x8e00
    ret
must_not_fault:
    idtgate_ 14, CODE32, sys_stubs + 14 * 8, 0x8e00
    cmp dword [spurious], 1
    jbe .good
    fail 'more than one spurious fault'
.good:
    ret
on_spurious:
    add esp, 4
    inc dword [spurious]
    cmp dword [spurious], 10
    jb .again
    fail 'faults for ever'
.again:
    iretd

BSS
    SYS32_BSS
    reserve_to 4096
pd:          resb 4096
table:       resb 4096
other_pd:    resb 4096
other_table: resb 4096
big_table:   resb 4096
frame_a:     resb 4096
frame_b:     resb 4096
frame_c:     resb 4096
low_word:    resd 1
spurious:    resd 1
ENDBSS
