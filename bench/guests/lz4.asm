; A CPU-bound guest: an LZ4 block (sequences of a token, literals, an offset, a match; lz4_Block_format.md) of about 1 MiB
; that the guest makes itself, unpacked ROUNDS times by a plain decoder: dependent loads, short copies, branches that are
; hard to foresee. 64-bit mode.

%define GUEST 'lz4'
%include "pvh.inc"
%include "sys64.inc"

ROUNDS      equ 160
SEQUENCES   equ 100000
PACKED      equ 0x1000000
UNPACKED    equ 0x2000000

main:
    jmp sys64_enter

bits 64
default abs

; The next pseudo-random number in EAX, from R15.
%macro random 0
    imul r15, r15, 0x5851f42d
    add r15, 0x14057b7f
    mov rax, r15
    shr rax, 24
%endmacro

main64:
    mov r15, 1
    mov edi, PACKED
    xor ebp, ebp                    ; bytes unpacked so far
    mov ebx, SEQUENCES
.sequence:
    random
    mov ecx, eax
    and ecx, 7
    inc ecx                         ; 1…8 literals
    mov edx, eax
    shr edx, 3
    and edx, 15                     ; matches of 4…19, the last with a length byte of its own
    mov r8d, ecx
    shl r8d, 4
    or r8d, edx
    mov [rdi], r8b
    inc edi
    add ebp, ecx
.literal:
    random
    mov [rdi], al
    inc edi
    dec ecx
    jnz .literal
    random
    and eax, 0x3fff
    inc eax
    cmp eax, ebp
    cmova eax, ebp                  ; an offset into what is there
    mov [rdi], ax
    add edi, 2
    cmp edx, 15
    jb .counted
    mov byte [rdi], 0
    inc edi
.counted:
    lea ebp, [rbp + rdx + 4]
    dec ebx
    jnz .sequence
    mov [packed_end], edi
    mov dword [rounds], ROUNDS
.round:
    mov esi, PACKED
    mov edi, UNPACKED
    call unpack
    dec dword [rounds]
    jnz .round
    sub edi, UNPACKED
    say64 'bytes '
    hex64 rdi, 8
    mov ecx, edi
    mov esi, UNPACKED
    xor eax, eax
.sum:
    movzx edx, byte [rsi]
    imul eax, eax, 31
    add eax, edx
    inc esi
    dec ecx
    jnz .sum
    say64 ' sum '
    hex64 rax, 8
    say64 10
    ret

; RSI packed, RDI unpacked; ends at packed_end.
unpack:
    mov r10d, [packed_end]
.sequence:
    movzx eax, byte [rsi]
    inc rsi
    mov ecx, eax
    shr ecx, 4
    cmp ecx, 15
    jne .literals
.more_literals:
    movzx edx, byte [rsi]
    inc rsi
    add ecx, edx
    cmp edx, 255
    je .more_literals
.literals:
    mov r8d, ecx
    lea r9, [rdi + rcx]
.copy_literals:
    mov rdx, [rsi]
    mov [rdi], rdx
    add rsi, 8
    add rdi, 8
    sub ecx, 8
    ja .copy_literals
    movsxd rcx, ecx
    add rsi, rcx
    mov rdi, r9
    movzx edx, word [rsi]
    add rsi, 2
    mov rbx, rdi
    sub rbx, rdx
    and eax, 15
    cmp eax, 15
    jne .match
.more_match:
    movzx r8d, byte [rsi]
    inc rsi
    add eax, r8d
    cmp r8d, 255
    je .more_match
.match:
    add eax, 4
    lea r9, [rdi + rax]
    cmp edx, 8
    jb .near
.copy_far:
    mov rdx, [rbx]
    mov [rdi], rdx
    add rbx, 8
    add rdi, 8
    cmp rdi, r9
    jb .copy_far
    mov rdi, r9
    cmp rsi, r10
    jb .sequence
    ret
.near:
    mov dl, [rbx]
    mov [rdi], dl
    inc rbx
    inc rdi
    cmp rdi, r9
    jb .near
    cmp rsi, r10
    jb .sequence
    ret

BSS
    SYS64_BSS
packed_end: resd 1
rounds:     resd 1
ENDBSS
