; A CPU-bound guest: SHA-256 (FIPS 180-4) over a message of 1 MiB, ROUNDS times, each with the digest before it as the
; first block of the next. Rotations, shifts and additions of 32 bits in registers, the schedule in memory; 64-bit mode.

%define GUEST 'sha256'
%include "pvh.inc"
%include "sys64.inc"

%ifndef ROUNDS
%define ROUNDS 24
%endif
MESSAGE     equ 0x1000000
SIZE        equ 0x100000

main:
    jmp sys64_enter

bits 64
default abs
main64:
    mov edi, MESSAGE
    mov ecx, SIZE / 4
    mov eax, 1
.fill:
    imul eax, eax, 1664525
    add eax, 1013904223
    mov [rdi], eax
    add edi, 4
    dec ecx
    jnz .fill
    mov dword [rounds], ROUNDS
.round:
    mov ecx, 8
    mov esi, initial
    mov edi, digest
    rep movsd
    mov esi, MESSAGE
.block:
    call compress
    add esi, 64
    cmp esi, MESSAGE + SIZE
    jb .block
    mov esi, digest                 ; the next message begins with this digest
    mov edi, MESSAGE
    mov ecx, 8
    rep movsd
    dec dword [rounds]
    jnz .round
    say64 'digest '
    xor ebx, ebx
.print:
    hex64 [rbx + digest], 8
    add ebx, 4
    cmp ebx, 32
    jb .print
    say64 10
    ret

; One round: a b c d e f g h as registers, index of K and W. The caller renames the registers.
%macro round 9
    mov r12d, %5
    ror r12d, 6
    mov r13d, %5
    ror r13d, 11
    xor r12d, r13d
    ror r13d, 14
    xor r12d, r13d
    mov r13d, %6
    xor r13d, %7
    and r13d, %5
    xor r13d, %7
    add %8, r12d
    add %8, r13d
    add %8, [schedule + %9 * 4]
    add %8, [constants + %9 * 4]
    add %4, %8
    mov r12d, %1
    ror r12d, 2
    mov r13d, %1
    ror r13d, 13
    xor r12d, r13d
    ror r13d, 9
    xor r12d, r13d
    mov r13d, %1
    or r13d, %2
    and r13d, %3
    mov r14d, %1
    and r14d, %2
    or r13d, r14d
    add %8, r12d
    add %8, r13d
%endmacro

; The block at ESI into the digest. Keeps ESI.
compress:
    xor ecx, ecx
.load:
    mov eax, [rsi + rcx * 4]
    bswap eax
    mov [rcx * 4 + schedule], eax
    inc ecx
    cmp ecx, 16
    jb .load
.extend:
    mov eax, [rcx * 4 + schedule - 60]
    mov edx, eax
    ror eax, 7
    mov ebx, edx
    ror ebx, 18
    xor eax, ebx
    shr edx, 3
    xor eax, edx
    add eax, [rcx * 4 + schedule - 64]
    add eax, [rcx * 4 + schedule - 28]
    mov edx, [rcx * 4 + schedule - 8]
    mov ebx, edx
    ror ebx, 17
    mov edi, edx
    ror edi, 19
    xor ebx, edi
    shr edx, 10
    xor ebx, edx
    add eax, ebx
    mov [rcx * 4 + schedule], eax
    inc ecx
    cmp ecx, 64
    jb .extend
    mov eax, [digest]
    mov ebx, [digest + 4]
    mov ecx, [digest + 8]
    mov edx, [digest + 12]
    mov r8d, [digest + 16]
    mov r9d, [digest + 20]
    mov r10d, [digest + 24]
    mov r11d, [digest + 28]
%assign i 0
%rep 8
    round eax, ebx, ecx, edx, r8d, r9d, r10d, r11d, i
    round r11d, eax, ebx, ecx, edx, r8d, r9d, r10d, i + 1
    round r10d, r11d, eax, ebx, ecx, edx, r8d, r9d, i + 2
    round r9d, r10d, r11d, eax, ebx, ecx, edx, r8d, i + 3
    round r8d, r9d, r10d, r11d, eax, ebx, ecx, edx, i + 4
    round edx, r8d, r9d, r10d, r11d, eax, ebx, ecx, i + 5
    round ecx, edx, r8d, r9d, r10d, r11d, eax, ebx, i + 6
    round ebx, ecx, edx, r8d, r9d, r10d, r11d, eax, i + 7
%assign i i + 8
%endrep
    add [digest], eax
    add [digest + 4], ebx
    add [digest + 8], ecx
    add [digest + 12], edx
    add [digest + 16], r8d
    add [digest + 20], r9d
    add [digest + 24], r10d
    add [digest + 28], r11d
    ret

initial:
    dd 0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a
    dd 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19
constants:
    dd 0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5
    dd 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5
    dd 0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3
    dd 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174
    dd 0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc
    dd 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da
    dd 0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7
    dd 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967
    dd 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13
    dd 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85
    dd 0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3
    dd 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070
    dd 0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5
    dd 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3
    dd 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208
    dd 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2

BSS
    SYS64_BSS
    reserve_to 64
schedule:   resd 64
digest:     resd 8
rounds:     resd 1
ENDBSS
