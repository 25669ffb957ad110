; Every exception of protected mode that 32- and 16-bit code can raise in ring 0 and ring 3, with vector, error code
; and pushed frame (Intel SDM volume 3, chapter 6): faults, traps, INT n, privileged instructions, I/O permission,
; alignment check, coprocessor and SIMD errors, and faults during delivery (table 6-5) up to double faults.

%define GUEST 'sys-exceptions-32'
%include "pvh.inc"
%include "sys32.inc"

NOT_PRESENT equ 0x48
EXEC_ONLY   equ 0x50
READ_ONLY   equ 0x58

CR0_MP      equ 2
CR0_EM      equ 4
CR0_TS      equ 8
CR0_NE      equ 0x20
CR0_AM      equ 0x40000
CR4_TSD     equ 4
CR4_DE      equ 8
CR4_OSFXSR  equ 0x200
CR4_OSXMM   equ 0x400

main:
    call sys_init
    xor eax, eax
    mov cr2, eax
    mov dr7, eax
    mov eax, 0xffff0ff0
    mov dr6, eax
    seg_ NOT_PRESENT, 0, 0xfffff, ACC_DATA & 0x7f, 0xc
    seg_ EXEC_ONLY, 0, 0xfffff, 0x99, 0xc
    seg_ READ_ONLY, 0, 0xfffff, 0x91, 0xc

    line 'ring 0'
    try 'div zero'
    xor ecx, ecx
    div ecx
    endtry0
    try 'div byte too large'
    mov ax, 0x200
    mov cl, 2
    div cl
    endtry0
    try 'idiv too large'
    mov eax, 0x80000000
    cdq
    mov ecx, -1
    idiv ecx
    endtry0
    one 'aam 0', aam 0
    one 'int1', int1
    one 'int3', int3
    one 'int 3', db 0xcd, 3
    one 'int 13', db 0xcd, 13
    one 'int 14', db 0xcd, 14
    one 'int 20h', int 0x20
    one 'into', into
    try 'into with OF'
    mov al, 0x7f
    inc al
    into
    endtry0
    try 'bound inside'
    mov eax, 10
    bound eax, [bounds]
    endtry0
    try 'bound below'
    mov eax, -6
    bound eax, [bounds]
    endtry0
    try 'bound above'
    mov eax, 11
    bound eax, [bounds]
    endtry0
    try 'bound16 above'
    mov ax, 0
    bound ax, [bounds]
    endtry0

    one 'ud2', ud2
    one 'ud1', db 0x0f, 0xb9, 0xc0
    one 'ud0', db 0x0f, 0xff, 0xc0
    one 'lock nop', db 0xf0, 0x90
    one 'lock add reg', db 0xf0, 0x01, 0xc0
    one 'lock add mem', lock add dword [scratch], 1
    one 'lock bt mem', db 0xf0, 0x0f, 0xba, 0x25, 0, 0, 0, 0, 0
    one 'mov cs', db 0x8e, 0xc8
    one 'mov sreg 6', db 0x8e, 0xf0
    one 'mov from sreg 7', db 0x8c, 0xf8
    one 'lea reg', db 0x8d, 0xc0
    one 'bound reg', db 0x62, 0xc0
    one 'lds reg', db 0xc5, 0xc0
    one 'cmpxchg8b reg', db 0x0f, 0xc7, 0xc8
    one 'mov eax, cr1', db 0x0f, 0x20, 0xc8
    one 'mov cr7, eax', db 0x0f, 0x22, 0xf8
    one 'rsm', rsm
    one 'syscall', db 0x0f, 0x05
    one 'swapgs', db 0x0f, 0x01, 0xf8
    one 'rdfsbase', db 0xf3, 0x0f, 0xae, 0xc0
    one 'xgetbv', db 0x0f, 0x01, 0xd0
    one 'group 5 /7', db 0xff, 0xf8
    one 'group 8 /0', db 0x0f, 0xba, 0xc0, 0
    one '0f 0a', db 0x0f, 0x0a
    one '0f 24', db 0x0f, 0x24, 0xc0
    one 'fifteen bytes', db 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x90
    try 'sixteen bytes'
    db 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x90
    endtry0
    try 'prefixes to the limit, then undefined'
    db 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x0f, 0x0b
    endtry0

    mov eax, cr4
    or eax, CR4_DE
    mov cr4, eax
    one 'mov eax, dr4 with DE', db 0x0f, 0x21, 0xe0
    one 'mov eax, dr6', mov eax, dr6
    mov eax, cr4
    and eax, ~CR4_DE
    mov cr4, eax
    one 'mov eax, dr4', db 0x0f, 0x21, 0xe0

    call segments
    call coprocessor
    call delivery
    call code16
    call user
    report_rf
    ret

; Segment loads and accesses: #NP, #SS, #GP. The guest sys-segments has the rest.
segments:
    try 'ds not present'
    mov eax, NOT_PRESENT
    mov ds, eax
    endtry0
    try 'ss not present'
    mov eax, NOT_PRESENT
    mov ss, eax
    endtry0
    try 'ss null'
    xor eax, eax
    mov ss, eax
    endtry0
    try 'ss code'
    mov eax, CODE32
    mov ss, eax
    endtry0
    try 'es beyond the table'
    mov eax, 0xfff8
    mov es, eax
    endtry0
    try 'es beyond the local table'
    mov eax, 0x1004
    mov es, eax
    endtry0
    try 'es execute-only'
    mov eax, EXEC_ONLY
    mov es, eax
    endtry0
    try 'es null, used'
    xor eax, eax
    mov es, eax
    mov al, [es:scratch]
    endtry0
    try 'code written'
    mov [cs:scratch], al
    endtry0
    try 'read-only written'
    mov eax, READ_ONLY
    mov es, eax
    mov [es:scratch], al
    endtry0
    try 'ltr busy'
    mov eax, SYS_TSS
    ltr ax
    endtry0
    try 'lldt of data'
    mov eax, DATA32
    lldt ax
    endtry0
    ret

; #NM, #MF, #XM and the #UD that stand in for them.
coprocessor:
    mov eax, cr0
    or eax, CR0_NE | CR0_MP
    and eax, ~(CR0_EM | CR0_TS)
    mov cr0, eax
    mov eax, cr4
    and eax, ~(CR4_OSFXSR | CR4_OSXMM)
    mov cr4, eax
    one 'fnop', fnop
    one 'movaps, OSFXSR clear', movaps xmm0, xmm0
    mov eax, cr4
    or eax, CR4_OSFXSR
    mov cr4, eax
    one 'movaps, OSFXSR set', movaps xmm0, xmm0
    mov eax, cr0
    or eax, CR0_TS
    mov cr0, eax
    one 'fnop, TS', fnop
    one 'fwait, TS and MP', fwait
    one 'paddb mmx, TS', paddb mm0, mm0
    one 'movaps, TS', movaps xmm0, xmm0
    one 'prefetch, TS', prefetchnta [scratch]
    one 'sfence, TS', sfence
    one 'fxsave, TS', fxsave [fx_area]
    mov eax, cr0
    and eax, ~CR0_MP
    mov cr0, eax
    one 'fwait, TS without MP', fwait
    clts
    mov eax, cr0
    or eax, CR0_EM
    mov cr0, eax
    one 'fnop, EM', fnop
    one 'fwait, EM', fwait
    one 'paddb mmx, EM', paddb mm0, mm0
    one 'movaps, EM', movaps xmm0, xmm0
    mov eax, cr0
    and eax, ~CR0_EM
    or eax, CR0_MP
    mov cr0, eax

    fninit
    fldcw [unmasked]
    fld1
    fldz
    fdivp st1, st0
    one 'fwait, zero divide pending', fwait
    one 'fld1, zero divide pending', fld1
    one 'fnstsw, zero divide pending', fnstsw ax
    one 'paddb mmx, zero divide pending', paddb mm0, mm0
    one 'movaps, zero divide pending', movaps xmm0, xmm0
    fnclex
    one 'fwait, cleared', fwait
    fninit
    ldmxcsr [unmasked_sse]
    try 'divss by zero, OSXMMEXCPT clear'
    xorps xmm0, xmm0
    movaps xmm1, [ones]
    divss xmm1, xmm0
    endtry0
    mov eax, cr4
    or eax, CR4_OSXMM
    mov cr4, eax
    try 'divss by zero, OSXMMEXCPT set'
    xorps xmm0, xmm0
    movaps xmm1, [ones]
    divss xmm1, xmm0
    endtry0
    one 'movaps misaligned', movaps xmm0, [ones + 4]
    ldmxcsr [default_sse]
    try 'ldmxcsr reserved'
    ldmxcsr [reserved_sse]
    endtry0
    ret

; Faults while an event is delivered.
delivery:
    line 'delivery'
    idtgate_ 0x21, CODE32, sys_stubs, 0x0e00
    one 'int, gate not present', int 0x21
    idtgate_ 0x21, CODE32, sys_stubs, 0x8c00        ; a call gate
    one 'int, no interrupt gate', int 0x21
    idtgate_ 0x21, 0, sys_stubs, 0x8e00
    one 'int, null selector', int 0x21
    idtgate_ 0x21, 0x1f8, sys_stubs, 0x8e00
    one 'int, selector of nothing', int 0x21
    idtgate_ 0x21, DATA32, sys_stubs, 0x8e00
    one 'int, data selector', int 0x21
    idtgate_ 0x21, USER_CODE, sys_stubs, 0x8e00
    one 'int, outer ring', int 0x21
    idtgate_ 0x21, 0xfff8, sys_stubs, 0x8e00
    one 'int, beyond the table', int 0x21
    seg_ 0x60, 0, 0xfffff, ACC_CODE & 0x7f, 0xc
    idtgate_ 0x21, 0x60, sys_stubs, 0x8e00
    one 'int, code not present', int 0x21
    seg_ 0x60, 0, 0xfff, ACC_CODE, 4
    idtgate_ 0x21, 0x60, sys_stubs, 0x8e00
    one 'int, offset beyond the limit', int 0x21
    lidt [short_idt]
    one 'int, beyond the idt', int 0x40
    lidt [sys_idt_pointer]

    idtgate_ 6, CODE32, sys_stubs + 6 * 8, 0x0e00
    one 'ud2, gate not present', ud2
    idtgate_ 6, CODE32, sys_stubs + 6 * 8, 0x8b00
    one 'ud2, no gate', ud2
    idtgate_ 6, 0, sys_stubs + 6 * 8, 0x8e00
    one 'ud2, null selector', ud2
    idtgate_ 6, 0x1f8, sys_stubs + 6 * 8, 0x8e00
    one 'ud2, selector of nothing', ud2
    idtgate_ 6, CODE32, sys_stubs + 6 * 8, 0x8f00
    one 'ud2, trap gate', ud2
    idtgate_ 6, CODE32, sys_stubs + 6 * 8, 0x8e00

    idtgate_ 0, CODE32, sys_stubs, 0x0e00
    try 'div, gate not present'
    xor ecx, ecx
    div ecx
    endtry0
    idtgate_ 0, CODE32, sys_stubs, 0x8e00
    idtgate_ 13, CODE32, sys_stubs + 13 * 8, 0x0e00
    try 'gp, gate not present'
    xor eax, eax
    mov ss, eax
    endtry0
    idtgate_ 11, CODE32, sys_stubs + 11 * 8, 0x0e00
    one 'ud2 and three bad gates', call bad_ud2
    idtgate_ 11, CODE32, sys_stubs + 11 * 8, 0x8e00
    idtgate_ 13, CODE32, sys_stubs + 13 * 8, 0x8e00
    idtgate_ 6, CODE32, sys_stubs + 6 * 8, 0x8e00
    ret

; #UD whose gate is not present: #NP, whose gate is not present either: #DF.
bad_ud2:
    idtgate_ 6, CODE32, sys_stubs + 6 * 8, 0x0e00
    sub dword [try_base], 4
    ud2

code16:
    line 'ring 0, 16-bit code'
    try16 'div zero'
    xor ecx, ecx
    div cx
    endtry16
    try16 'int3'
    int3
    endtry16
    try16 'int 20h'
    int 0x20
    endtry16
    try16 'ud2'
    ud2
    endtry16
    try16 'bound'
    mov ax, 0x7fff
    bound ax, [dword cs:bounds - image_base]
    endtry16
    try16 'offset beyond the limit'
    mov al, [dword cs:0x10000]
    endtry16
    ret

user:
    line 'ring 3'
    try3 'div zero'
    xor ecx, ecx
    div ecx
    endtry
    one3 'int1', int1
    one3 'int3, gate for ring 0', int3
    one3 'int 20h, gate for ring 0', int 0x20
    try3 'into, gate for ring 0'
    mov al, 0x7f
    inc al
    into
    endtry
    idtgate_ 3, CODE32, sys_stubs + 3 * 8, 0xee00
    idtgate_ 4, CODE32, sys_stubs + 4 * 8, 0xee00
    idtgate_ 0x20, CODE32, sys_stubs + 0x20 * 8, 0xee00
    one3 'int3', int3
    one3 'int 20h', int 0x20
    try3 'into'
    mov al, 0x7f
    inc al
    into
    endtry
    try3 'bound'
    mov eax, 11
    bound eax, [bounds]
    endtry
    one3 'ud2', ud2
    one3 'cli', cli
    one3 'sti', sti
    one3 'hlt', hlt
    one3 'clts', clts
    one3 'invd', invd
    one3 'wbinvd', wbinvd
    one3 'invlpg', invlpg [scratch]
    one3 'lgdt', lgdt [sys_gdt_pointer]
    one3 'lidt', lidt [sys_idt_pointer]
    one3 'lldt', lldt ax
    one3 'ltr', ltr ax
    one3 'lmsw', lmsw ax
    one3 'mov eax, cr0', mov eax, cr0
    one3 'mov cr3, eax', mov cr3, eax
    one3 'mov eax, cr1', db 0x0f, 0x20, 0xc8
    one3 'mov eax, dr7', mov eax, dr7
    one3 'mov dr0, eax', mov dr0, eax
    one3 'rdmsr', rdmsr
    one3 'wrmsr', wrmsr
    one3 'rdpmc', rdpmc
    one3 'sysexit', sysexit
    one3 'sgdt', sgdt [scratch]
    one3 'sidt', sidt [scratch]
    one3 'sldt', sldt ax
    one3 'str', str ax
    one3 'smsw', smsw ax
    one3 'cpuid', cpuid
    one3 'rdtsc', rdtsc
    mov eax, cr4
    or eax, CR4_TSD
    mov cr4, eax
    one3 'rdtsc, TSD', rdtsc
    mov eax, cr4
    and eax, ~CR4_TSD
    mov cr4, eax
    try3 'popf of IF and IOPL'
    push dword 0x3202
    popfd
    ud2
    endtry
    try3 'mov ds, ring 0 data'
    mov eax, DATA32
    mov ds, eax
    endtry
    try3 'mov ss, ring 0 data'
    mov eax, DATA32
    mov ss, eax
    endtry
    one3 'jmp to ring 0', jmp CODE32:0
    one3 'int n, no gate', int 0x80

    ; Ports: IOPL, then the bitmap in the TSS.
    one3 'in', in al, 0x80
    one3 'out', out 0x80, al
    try3 'outsb'
    mov edx, 0x80
    mov esi, scratch
    outsb
    endtry
    mov dword [try_flags], EFL_IOPL3 | 2
    one3 'in, IOPL 3', in al, 0x80
    one3 'cli, IOPL 3', cli
    try3 'sti, IOPL 3'
    sti
    cli
    endtry
    one3 'hlt, IOPL 3', hlt
    mov dword [try_flags], 2
    call port_map
    one3 'in, allowed', in al, 0x80
    one3 'in word, second denied', in ax, 0x80
    one3 'in, denied', in al, 0x81
    one3 'in dword across bytes', in eax, 0x85
    try3 'in, last port of the map'
    mov edx, 0x13f7
    in al, dx
    endtry
    try3 'in, byte behind the map missing'
    mov edx, 0x13ff
    in al, dx
    endtry
    try3 'in, beyond the limit'
    mov edx, 0x1400
    in al, dx
    endtry

    ; Alignment.
    mov eax, cr0
    or eax, CR0_AM
    mov cr0, eax
    one3 'misaligned, AC clear', mov eax, [scratch + 1]
    mov dword [try_flags], EFL_AC | 2
    one3 'byte', mov al, [scratch + 1]
    one3 'word', mov ax, [scratch + 1]
    one3 'dword', mov eax, [scratch + 2]
    one3 'dword written', mov [scratch + 2], eax
    one3 'dword added', add [scratch + 2], eax
    one3 'fld qword', fld qword [scratch + 4]
    fninit
    one3 'movq', movq mm0, [scratch + 4]
    emms
    one3 'movups', movups xmm0, [scratch + 4]
    one3 'movaps', movaps xmm0, [scratch + 4]
    try3 'push'
    dec esp
    push eax
    endtry
    try3 'pop'
    dec esp
    pop eax
    endtry
    try3 'movsd'
    mov esi, scratch
    mov edi, scratch + 9
    movsd
    endtry
    one3 'sidt', sidt [scratch + 1]
    one3 'lock xadd', lock xadd [scratch + 3], eax
    mov eax, cr0
    and eax, ~CR0_AM
    mov cr0, eax
    one3 'dword, AM clear', mov eax, [scratch + 1]
    mov dword [try_flags], 2
    try 'dword in ring 0, AC set'
    push dword EFL_AC | 2
    popfd
    mov eax, [scratch + 1]
    endtry0
    ret

; Ports 0–0x13ff: 0x80 allowed, 0x81 denied, 0x82–0x87 allowed, 0x88 denied, all others allowed. The limit ends with
; the last byte of the map: the byte of ones that should follow is missing.
port_map:
    mov word [sys_tss + 0x66], 0x68
    mov edi, sys_tss + 0x68
    mov ecx, 0x280
    xor eax, eax
    rep stosb
    mov byte [sys_tss + 0x68 + 0x10], 2
    mov byte [sys_tss + 0x68 + 0x11], 1
    seg_ SYS_TSS, sys_tss, 0x67 + 0x280, 0x89, 0
    mov eax, SYS_TSS
    ltr ax
    ret

short_idt:
    dw 0x40 * 8 + 6                 ; one byte short of vector 0x40
    dd sys_idt
align 8
bounds:       dd -5, 10
unmasked:     dw 0x037b             ; zero divide
align 16
ones:         dd 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0
unmasked_sse: dd 0x1d80             ; zero divide
default_sse:  dd 0x1f80
reserved_sse: dd 0x11f80

BSS
    SYS32_BSS
    reserve_to
scratch: resb 64
fx_area: resb 512
ENDBSS
