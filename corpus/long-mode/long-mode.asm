; From protected mode to 64-bit mode and back: CPUID, PAE, 4-level paging with 2 MiB pages and a high half, EFER.LME,
; 64-bit arithmetic, REX registers, RIP-relative addresses, CMPXCHG16B, SYSCALL, a #GP for a non-canonical address
; through a 64-bit IDT with IST, SWAPGS, compatibility mode. Intel SDM volume 3, section 9.8.5.

%define GUEST 'long-mode'
%include "pvh.inc"

EFER        equ 0xc0000080
STAR        equ 0xc0000081
LSTAR       equ 0xc0000082
SFMASK      equ 0xc0000084
GS_BASE     equ 0xc0000101
KERNEL_GS   equ 0xc0000102
HIGH_HALF   equ 0xffff800000000000

; Print "name value" from 64-bit code: show 'mul low', rax. Keeps every register.
%macro show 2
    push %2
    call show64
    db %1, 0
%endmacro

main:
    say 'vendor '
    xor eax, eax
    cpuid
    mov [text], ebx
    mov [text + 4], edx
    mov [text + 8], ecx
    mov dword [text + 12], 0
    mov esi, text
    call put_string
    say 10
    mov edi, text
    mov ebp, 0x80000002
.brand:
    mov eax, ebp
    cpuid
    mov [edi], eax
    mov [edi + 4], ebx
    mov [edi + 8], ecx
    mov [edi + 12], edx
    add edi, 16
    inc ebp
    cmp ebp, 0x80000005
    jb .brand
    mov byte [edi], 0
    say 'brand '
    call put_string
    say 10
    mov eax, 0x80000001
    cpuid
    bt edx, 29
    jc .long_mode
    fail 'no long mode'
.long_mode:

    ; PML4[0] and PML4[256] → PDPT → one directory of 2 MiB pages over the first GiB.
    mov dword [pml4], pdpt + 3
    mov dword [pml4 + 256 * 8], pdpt + 3
    mov dword [pdpt], directory + 3
    mov edi, directory
    mov eax, 0x83
    mov ecx, 512
.fill:
    mov [edi], eax
    add eax, 0x200000
    add edi, 8
    loop .fill

    mov eax, cr4
    or eax, 0x20                    ; PAE
    mov cr4, eax
    mov eax, pml4
    mov cr3, eax
    mov ecx, EFER
    rdmsr
    or eax, 0x101                   ; LME, SCE
    wrmsr
    mov eax, cr0
    or eax, 0x80000001
    mov cr0, eax
    mov ecx, EFER
    rdmsr
    say 'efer '
    hex eax, 8
    say 10
    mov [saved_esp], esp
    jmp CODE64:long_mode

back:
    ; Compatibility mode: 32-bit code under 4-level paging. Leave it by way of paging off.
    mov eax, DATA32
    mov ss, eax
    mov ds, eax
    mov es, eax
    mov esp, [saved_esp]
    line 'compatibility mode'
    mov eax, cr0
    and eax, 0x7fffffff
    mov cr0, eax
    mov ecx, EFER
    rdmsr
    say 'efer '
    hex eax, 8
    say 10
    ret

bits 64
default abs
long_mode:
    xor eax, eax
    mov ss, eax                     ; a null SS is good in 64-bit mode
    mov esp, stack_top - 0x1000

    mov rax, 0xfedcba9876543210
    mov rbx, 0x0123456789abcdef
    mul rbx
    show 'mul high', rdx
    show 'mul low', rax
    mov rcx, 0xfedcba9876543211
    div rcx
    show 'div quotient', rax
    show 'div remainder', rdx
    mov rax, -1234567890123456789
    imul rax, rax, 1000003
    pushfq
    pop r8
    and r8d, 0x801                  ; OF, CF
    show 'imul', rax
    show 'imul of cf', r8
    cqo
    mov rbx, -987654321
    idiv rbx
    show 'idiv quotient', rax
    show 'idiv remainder', rdx

    mov r9, 0x8000000000000001
    stc
    rcl r9, 33
    show 'rcl', r9
    mov r10, 0x00ff00ff12345678
    ror r10, 20
    show 'ror', r10
    shld r9, r10, 45
    show 'shld', r9
    sar r9, 7
    show 'sar', r9
    bswap r10
    show 'bswap', r10
    bsf r11, r10
    bsr r12, r10
    show 'bsf', r11
    show 'bsr', r12
    bt r10, 63
    sbb r13, r13
    show 'bt sbb', r13

    ; 32-bit results clear the upper half, 8- and 16-bit ones keep it; SIL and DIL exist.
    mov rsi, -1
    mov sil, 0x12
    show 'sil', rsi
    mov si, 0x3456
    show 'si', rsi
    mov esi, esi
    show 'esi', rsi
    mov eax, 0x87654321
    movsxd rdi, eax
    show 'movsxd', rdi
    xor ebx, ebx
    mov bh, 0x80
    movsx ecx, bh
    show 'movsx bh', rcx

    lea rax, [rel long_mode]
    mov ecx, long_mode
    sub rax, rcx
    show 'rip-relative', rax
    mov rcx, HIGH_HALF + image_base
    mov eax, [rcx]
    show 'high half', rax
    mov rax, [abs qword HIGH_HALF + bss_base + saved_esp - bss_base]
    mov ecx, [saved_esp]
    xor eax, ecx                    ; only the low half belongs to saved_esp
    show 'moffs', rax

    lea rdi, [pair]
    mov rax, 0x1111111111111111
    mov rdx, 0x2222222222222222
    mov [rdi], rax
    mov [rdi + 8], rdx
    mov rbx, 0x3333333333333333
    mov rcx, 0x4444444444444444
    lock cmpxchg16b [rdi]
    setz r14b
    movzx r14d, r14b
    show 'cmpxchg16b equal', r14
    lock cmpxchg16b [rdi]
    setz r14b
    movzx r14d, r14b
    show 'cmpxchg16b other', r14
    show 'loaded', rdx
    mov rax, 5
    lock xadd [rdi], rax
    show 'xadd old', rax
    show 'xadd new', qword [rdi]

    lea rdi, [block]
    mov rax, 0x0807060504030201
    mov ecx, 16
    rep stosq
    lea rsi, [block + 1]
    lea rdi, [block + 64]
    mov ecx, 5
    std
    lea rsi, [block + 32]
    lea rdi, [block + 35]
    rep movsq
    cld
    xor eax, eax
    lea rsi, [block]
    mov ecx, 16
.sum:
    rol rax, 7
    add rax, [rsi]
    add rsi, 8
    loop .sum
    show 'strings', rax
    push 0x7fffffff
    pop rax
    push -2
    pop rbx
    add rax, rbx
    show 'push imm', rax
    mov rbp, rsp
    enter 32, 2
    mov [rbp - 16], rsp
    mov rax, rbp
    sub rax, [rbp - 16]
    leave
    show 'enter', rax

    ; SYSCALL from ring 0: RCX and R11 hold the way back.
    mov ecx, STAR
    xor eax, eax
    mov edx, CODE64                 ; SYSCALL: CS 0x10, SS 0x18
    wrmsr
    mov ecx, LSTAR
    lea rax, [rel system_call]
    xor edx, edx
    wrmsr
    mov ecx, SFMASK
    mov eax, 1                      ; CF is cleared on entry
    wrmsr
    stc
    syscall
.returned:
    lea rax, [rel .returned]
    sub rcx, rax
    show 'syscall rcx', rcx
    and r11d, 0x8d5
    show 'syscall r11', r11
    show 'syscall cf', r15

    mov ecx, GS_BASE
    lea rax, [first_area]
    xor edx, edx
    wrmsr
    mov ecx, KERNEL_GS
    lea rax, [second_area]
    wrmsr
    mov r8, [gs:0]
    swapgs
    mov r9, [gs:0]
    show 'gs', r8
    show 'swapgs', r9

    ; A non-canonical address raises #GP(0); the handler runs on IST 1 and steps over the load.
    lea rax, [tss]
    lea rcx, [fault_stack_top]
    mov [rax + 0x24], rcx           ; IST 1
    lea rdi, [rel gdt + TSS0]
    mov word [rdi], 0x67
    mov [rdi + 2], ax
    shr eax, 16
    mov [rdi + 4], al
    mov byte [rdi + 5], 0x89
    mov [rdi + 7], ah
    mov ax, TSS0
    ltr ax
    lea rdi, [idt + 13 * 16]
    lea rax, [rel on_gp]
    mov [rdi], ax
    mov word [rdi + 2], CODE64
    mov word [rdi + 4], 0x8e01
    shr rax, 16
    mov [rdi + 6], ax
    lidt [rel idt_pointer]
    mov rax, 0x0000800000000000
    xor ebx, ebx
    mov rax, [rax]                  ; three bytes
    show 'gp error code', rbx
    show 'gp aligned', r12
    show 'gp on ist', r13

    push CODE32
    mov eax, back
    push rax
    retfq

system_call:
    setc r15b
    movzx r15d, r15b
    jmp rcx

on_gp:
    mov r13, rsp
    lea rax, [fault_stack_top]
    sub rax, r13                    ; SS, RSP, RFLAGS, CS, RIP, error code
    mov r13, rax
    mov r12, rsp
    and r12d, 15                    ; aligned before six words were pushed
    pop rbx
    add qword [rsp], 3
    iretq

; The string behind the call, a space, the 64-bit argument, a newline. Argument popped.
show64:
    push rax
    push rcx
    push rdx
    push rsi
    pushfq
    mov rsi, [rsp + 40]
.text:
    lodsb
    test al, al
    jz .value
    call put_char64
    jmp .text
.value:
    mov [rsp + 40], rsi
    mov al, ' '
    call put_char64
    mov rsi, [rsp + 48]
    mov ecx, 16
.digit:
    rol rsi, 4
    mov eax, esi
    and eax, 15
    lea rdx, [rel hex_digits]
    mov al, [rdx + rax]
    call put_char64
    dec ecx
    jnz .digit
    mov al, 10
    call put_char64
    popfq
    pop rsi
    pop rdx
    pop rcx
    pop rax
    ret 8

put_char64:
    push rdx
    push rax
    mov dx, COM1 + 5
.wait:
    in al, dx
    test al, 0x20
    jz .wait
    pop rax
    mov dx, COM1
    out dx, al
    pop rdx
    ret

first_area:  dq 0x1111222233334444
second_area: dq 0x5555666677778888
idt_pointer:
    dw 256 * 16 - 1
    dq idt
bits 32

BSS
pml4:            resb 4096
pdpt:            resb 4096
directory:       resb 4096
idt:             resb 4096
pair:            resb 16
block:           resb 256
text:            resb 64
tss:             resb 104
saved_esp:       resd 4
                 resb 1024         ; the top is 8 off a multiple of 16: the processor aligns
fault_stack_top:
ENDBSS
