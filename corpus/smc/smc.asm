; Self-modifying code, the ways that translation caches get wrong: an immediate patched in the same page just before
; it is reached, code patched after it became hot, a loop that rewrites itself on every pass, code replaced by string
; instructions, an instruction across two pages, code written through another linear address, a remapped page.
; Every change is followed by a jump, call or return, as Intel SDM volume 3, section 8.1.3 asks.

%define GUEST 'smc'
%include "pvh.inc"

main:
    ; The next instruction after a jump.
    mov dword [.immediate + 1], 0x11112222
    jmp .immediate
.immediate:
    mov eax, 0
    say 'next instruction '
    hex eax, 8
    say 10

    ; Backwards: the second pass sees what the first one wrote behind itself.
    xor ecx, ecx
.again:
    mov eax, 0x77777777
    mov edx, eax
    mov dword [.again + 1], 0x88888888
    inc ecx
    cmp ecx, 2
    jb .again
    say 'backwards '
    hex edx, 8
    say 10

    ; Hot code, then patched, then hot again.
    xor ebx, ebx
    mov ecx, 20000
    call run_hot
    say 'hot '
    dec_ ebx
    mov byte [hot.immediate + 2], 3
    mov ecx, 20000
    call run_hot
    say ' patched '
    dec_ ebx
    mov byte [hot.immediate + 1], 0xeb      ; add ebx → sub ebx
    mov ecx, 20000
    call run_hot
    say ' opcode '
    dec_ ebx
    say 10

    ; A loop that changes its own addend on every pass.
    xor eax, eax
    mov ecx, 1000
.rewrite:
    add eax, strict dword 1
.addend equ $ - 4
    add dword [.addend], 2
    loop .rewrite
    say 'rewriting loop '
    dec_ eax
    say 10

    ; A function replaced by REP MOVSB, and by one STOSD.
    mov edi, target
    mov esi, version_one
    mov ecx, version_two - version_one
    rep movsb
    call target
    say 'movsb '
    hex eax, 4
    mov edi, target
    mov esi, version_two
    mov ecx, version_end - version_two
    rep movsb
    call target
    say ' '
    hex eax, 4
    mov edi, target + 1
    mov eax, 0x3333
    stosd
    call target
    say ' stosd '
    hex eax, 4
    say 10

    ; An instruction across two pages; only the part in the second page changes.
    mov edi, page_one + 0xffe
    mov byte [edi], 0xb8                    ; mov eax, imm32
    mov dword [edi + 1], 0x01020304
    mov byte [edi + 5], 0xc3
    mov ecx, 5000
.straddle:
    call edi
    loop .straddle
    say 'across pages '
    hex eax, 8
    mov byte [page_one + 0x1001], 0x0a
    call edi
    say ' '
    hex eax, 8
    mov byte [page_one + 0xfff], 0x0b
    call edi
    say ' '
    hex eax, 8
    say 10

    ; Paging on, identity for the first 4 MiB; 0x400000 and up are aliases.
    mov edi, table
    mov eax, 3
    mov ecx, 1024
.identity:
    stosd
    add eax, 0x1000
    loop .identity
    mov dword [directory], table + 3
    mov dword [directory + 4], alias_table + 3
    mov dword [alias_table], page_three + 3
    mov eax, directory
    mov cr3, eax
    mov eax, cr0
    or eax, 0x80000000
    mov cr0, eax

    mov esi, version_one
    mov edi, page_three
    mov ecx, version_two - version_one
    rep movsb
    mov ecx, 5000
.original:
    mov eax, page_three
    call eax
    loop .original
    say 'alias '
    hex eax, 4
    mov dword [0x400001], 0x4444            ; written through the alias, run through the original
    mov eax, page_three
    call eax
    say ' '
    hex eax, 4
    mov dword [page_three + 1], 0x5555      ; and the other way round
    mov eax, 0x400000
    call eax
    say ' '
    hex eax, 4
    say 10

    ; The alias is remapped to another page with other code.
    mov esi, version_two
    mov edi, page_one
    mov ecx, version_end - version_two
    rep movsb
    mov dword [alias_table], page_one + 3
    invlpg [0x400000]
    mov eax, 0x400000
    call eax
    say 'remapped '
    hex eax, 4
    mov dword [alias_table], page_three + 3
    mov eax, cr3                            ; a whole flush this time
    mov cr3, eax
    mov eax, 0x400000
    call eax
    say ' '
    hex eax, 4
    say 10

    mov eax, cr0
    and eax, 0x7fffffff
    mov cr0, eax
    ret

run_hot:
    call hot
    loop run_hot
    ret

hot:
.immediate:
    add ebx, byte 1
    ret

version_one:
    mov eax, 0x1111
    ret
version_two:
    mov eax, 0x2222
    ret
version_end:

BSS
directory:   resb 4096
table:       resb 4096
alias_table: resb 4096
page_one:    resb 4096
page_two:    resb 4096
page_three:  resb 4096
target:      resb 64
ENDBSS
