; A cold-code guest: it writes BLOCKS different small blocks of code into memory, of six instructions out of sixteen kinds
; and a conditional branch to the next, 1.3 MiB in all, and runs the chain PASSES times. Nothing is run often, as in most of
; a boot: decoding and translating cost more than running. 64-bit mode.

%define GUEST 'cold'
%include "pvh.inc"
%include "sys64.inc"

%ifndef BLOCKS
%define BLOCKS 60000
%endif
PASSES      equ 12
CODE        equ 0x1000000
DATA        equ 0x2000000

main:
    jmp sys64_enter

bits 64
default abs
main64:
    mov r15, 1
    mov edi, CODE
    mov ebx, BLOCKS
.block:
    mov ebp, 6
.instruction:
    call random
    and eax, 15
    mov rdx, [rax * 8 + kinds]      ; up to seven bytes, the last one of the table's eight is their number
    mov rcx, rdx
    shr rcx, 56
    mov [rdi], rdx
    add edi, ecx
    dec ebp
    jnz .instruction
    call random
    and eax, 15
    or eax, 0x70                    ; Jcc rel8 over a two-byte NOP: either way to the next block
    mov [rdi], al
    mov byte [rdi + 1], 2
    mov word [rdi + 2], 0x9066
    add edi, 4
    dec ebx
    jnz .block
    mov byte [rdi], 0xc3
    sub edi, CODE
    say64 'code '
    hex64 rdi, 8
    mov edi, DATA
    mov ecx, 0x1000 / 8
    xor eax, eax
    rep stosq
    mov ebp, PASSES
    xor eax, eax
    mov ebx, 3
    mov ecx, 5
    mov edx, 7
    mov esi, DATA + 0x100
    mov edi, DATA + 0x800
.pass:
    mov r8d, CODE
    call r8
    dec ebp
    jnz .pass
    say64 ' result '
    hex64 rax, 16
    say64 ' '
    hex64 rdx, 16
    say64 10
    ret

random:
    imul r15, r15, 0x5851f42d
    add r15, 0x14057b7f
    mov rax, r15
    shr rax, 24
    ret

%macro kind 1+
%push one
%$from:
    %1
%$to:
    times 7 - (%$to - %$from) db 0xcc
    db %$to - %$from
%pop
%endmacro

align 8
kinds:
    kind add rax, rbx
    kind lea ebx, [rbx + rcx * 2 + 1]
    kind mov [rsi + 8], rax
    kind add rdx, [rsi + 8]
    kind xor ecx, eax
    kind rol rdx, 7
    kind movzx eax, cl
    kind cmp ebx, edx
    kind imul rcx, rbx
    kind sbb eax, ecx
    kind inc qword [rsi + 16]
    kind mov [rdi], ecx
    kind add ebx, [rdi]
    kind test dl, cl
    kind not rax
    kind shr ebx, 3

BSS
    SYS64_BSS
ENDBSS
