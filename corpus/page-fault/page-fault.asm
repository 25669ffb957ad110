; Page faults and their error codes under PAE paging with NX: supervisor and user reads, writes and fetches against
; pages that are absent, read-only, supervisor, no-execute or have a reserved bit set. The handler prints error code
; and CR2, makes the page good and returns, so every access runs twice. Intel SDM volume 3, section 4.7.

%define GUEST 'page-fault'
%include "pvh.inc"
%include "idt.inc"

P    equ 1
RW   equ 2
US   equ 4

PROBE equ 0x200000                  ; 4 KiB pages under test start here
EFER  equ 0xc0000080

; Test page n: low word of its entry. The upper word (NX, reserved) is set apart.
%macro entry_ 3
    mov dword [probe_table + %1 * 8], probe_frames + %1 * 4096
    or dword [probe_table + %1 * 8], %2
    mov dword [probe_table + %1 * 8 + 4], %3
    invlpg [PROBE + %1 * 4096]
%endmacro

main:
    call idt_init
    gate 14, on_page_fault
    user_gate 0x80, on_user_done

    ; Identity: 2 MiB of 4 KiB pages, user-accessible; the next 2 MiB are under test.
    mov dword [pdpt], directory + P
    mov dword [directory], identity + (P | RW | US)
    mov dword [directory + 8], probe_table + (P | RW | US)
    mov edi, identity
    mov eax, P | RW | US
    mov ecx, 512
.fill:
    mov [edi], eax
    add eax, 0x1000
    add edi, 8
    loop .fill
    mov edi, probe_frames           ; every test page starts with RET
    mov ecx, 12
.returns:
    mov byte [edi], 0xc3
    add edi, 4096
    loop .returns

    mov eax, cr4
    or eax, 0x20
    mov cr4, eax
    mov eax, pdpt
    mov cr3, eax
    mov ecx, EFER
    rdmsr
    or eax, 0x800                   ; NXE
    wrmsr
    mov eax, cr0
    or eax, 0x80010000              ; PG, WP
    mov cr0, eax

    ; Ring 3 comes back through ESP0.
    mov edi, gdt + TSS0
    mov eax, tss
    mov word [edi], 0x67
    mov [edi + 2], ax
    shr eax, 16
    mov [edi + 4], al
    mov byte [edi + 5], 0x89
    mov [edi + 7], ah
    mov dword [tss + 8], DATA32
    mov word [tss + 0x66], 0x68
    mov ax, TSS0
    ltr ax

    line 'supervisor'
    entry_ 0, 0, 0
    say 'read absent: '
    mov eax, [PROBE]
    call after

    entry_ 0, 0, 0
    say 'write absent: '
    mov dword [PROBE + 0x123], 5
    call after

    entry_ 1, P, 0
    say 'write read-only: '
    inc dword [PROBE + 0x1ffc]
    call after

    entry_ 2, P | RW, 0x80000000
    say 'fetch no-execute: '
    mov eax, PROBE + 0x2000
    call eax
    call after

    entry_ 3, P | RW, 0x00008000    ; bit 47 of the entry: above the 40-bit physical addresses of any model
    say 'read reserved: '
    mov eax, [PROBE + 0x3010]
    call after

    entry_ 4, P | RW, 0             ; a good page, then an absent one: CR2 is the second page's first byte
    entry_ 5, 0, 0
    say 'write across: '
    mov dword [PROBE + 0x4ffe], 0x11223344
    call after
    hex [PROBE + 0x4ffc], 8
    say ' '
    hex [PROBE + 0x5000], 8
    say 10

    entry_ 6, 0, 0                  ; the string instruction restarts in the middle
    mov edi, PROBE + 0x5ff0
    mov ecx, 32
    mov al, 0x5a
    say 'stosb across: '
    rep stosb
    call after
    hex edi, 8
    say ' '
    hex [PROBE + 0x6000], 8
    say 10

    mov eax, cr0
    and eax, ~0x10000               ; without WP a supervisor write ignores read-only
    mov cr0, eax
    entry_ 1, P, 0
    say 'write read-only, WP off: '
    mov dword [PROBE + 0x1000], 0x000000c3
    call after
    mov eax, cr0
    or eax, 0x10000
    mov cr0, eax

    line 'user'
    entry_ 7, 0, 0
    entry_ 8, P | RW, 0
    entry_ 9, P | US, 0
    entry_ 10, P | RW | US, 0x80000000
    entry_ 11, P | RW, 0
    mov [tss + 4], esp
    push USER_DATA
    push stack_top - 0x4000
    push dword 0x3002               ; IOPL 3: user code prints too
    push USER_CODE
    push user
    mov eax, USER_DATA
    mov ds, eax
    mov es, eax
    iretd
on_user_done:
    mov eax, DATA32
    mov ds, eax
    mov es, eax
    mov esp, [tss + 4]

    ; Accessed and dirty bits of what was touched.
    say 'entries'
    mov ecx, 12
    mov esi, probe_table
.flags:
    say ' '
    mov eax, [esi]
    and eax, 0xfff
    hex eax, 3
    add esi, 8
    loop .flags
    say 10
    mov eax, cr0
    and eax, 0x7fffffff
    mov cr0, eax
    ret

user:
    say 'read absent: '
    mov eax, [PROBE + 0x7000]
    call after
    say 'read supervisor: '
    mov eax, [PROBE + 0x8000]
    call after
    say 'write read-only: '
    mov [PROBE + 0x9000], eax
    call after
    say 'fetch no-execute: '
    mov eax, PROBE + 0xa000
    call eax
    call after
    say 'fetch supervisor: '
    mov eax, PROBE + 0xb000
    call eax
    call after
    int 0x80

; Ends the line of one case and counts its faults.
after:
    pushfd
    cmp dword [faults], 0
    jne .some
    say 'none'
.some:
    say 10
    mov dword [faults], 0
    popfd
    ret

; Prints error code and CR2 and opens the page: present, writable, user, executable.
on_page_fault:
    pushad
    push ds
    push es
    mov eax, DATA32
    mov ds, eax
    mov es, eax
    mov eax, [esp + 40]             ; error code, above PUSHAD and two segments
    say 'error '
    hex eax, 2
    mov ebx, cr2
    say ' cr2 '
    hex ebx, 8
    inc dword [faults]
    cmp dword [faults], 3
    jb .open
    say 10
    fail 'the page stays bad'
.open:
    mov eax, ebx
    shr eax, 12
    and eax, 511
    lea edi, [probe_table + eax * 8]
    shl eax, 12
    lea eax, [probe_frames + eax + (P | RW | US)]
    mov [edi], eax
    mov dword [edi + 4], 0
    invlpg [ebx]
    pop es
    pop ds
    popad
    add esp, 4
    iretd

BSS
pdpt:         resb 4096
directory:    resb 4096
identity:     resb 4096
probe_table:  resb 4096
probe_frames: resb 12 * 4096
idt:          resb 256 * 8
tss:          resb 104
faults:       resd 1
ENDBSS
