; A guest heavy in system calls and page faults: ring 3 touches PAGES pages that are not there, each mapped by the handler
; of the page fault, then makes CALLS system calls; the last one unmaps the pages again and reloads CR3. 64-bit mode.

%define GUEST 'syscalls'
%include "pvh.inc"
%include "sys64.inc"

ROUNDS      equ 240
PAGES       equ 2048                ; four page tables
CALLS       equ 8000
WINDOW      equ 0x40000000          ; linear address of the pages, the second GiB
FRAMES      equ 0x1000000           ; physical memory behind them
TABLES      equ 0x3000000           ; their page tables

main:
    jmp sys64_enter

bits 64
default abs
main64:
    mov ecx, EFER
    rdmsr
    or eax, 1                       ; SCE
    wrmsr
    mov ecx, 0xc0000081             ; STAR: SYSCALL 0x10 and 0x18, SYSRET to 0x30 and 0x28
    xor eax, eax
    mov edx, (0x20 << 16) | CODE64
    wrmsr
    mov ecx, 0xc0000082             ; LSTAR
    mov eax, on_syscall
    xor edx, edx
    wrmsr
    mov ecx, 0xc0000084             ; SFMASK
    mov eax, 0x700
    wrmsr
    idtgate_ 14, CODE64, on_page_fault, 0x8e, 0
    xor ebx, ebx
.table:
    mov eax, ebx
    shl eax, 12
    add eax, TABLES + 7
    mov [rbx * 8 + pd_low + 0x1000], rax
    inc ebx
    cmp ebx, PAGES / 512
    jb .table
    call unmap
    mov dword [rounds], ROUNDS
    mov [kernel_stack], rsp
    push qword USER_DATA
    push qword user_top
    push qword 2
    push qword USER_CODE64
    push qword user
    iretq

    align 4096                      ; rings 3 and 0 in pages of their own, as everywhere
user:
    mov edi, WINDOW
    xor ecx, ecx
.touch:
    add [rdi], edi
    add edi, 4096
    cmp edi, WINDOW + PAGES * 4096
    jb .touch
    mov ebp, CALLS
.call:
    mov eax, 1
    syscall
    dec ebp
    jnz .call
    xor eax, eax
    syscall
    jmp user

    align 4096
on_syscall:
    swapgs
    mov [user_stack], rsp
    mov rsp, [kernel_stack]
    push rcx
    push r11
    test eax, eax
    jz .round
    inc qword [calls]
.back:
    pop r11
    pop rcx
    mov rsp, [user_stack]
    swapgs
    o64 sysret
.round:
    call unmap
    dec dword [rounds]
    jnz .back
    mov rsp, [kernel_stack]
    say64 'calls '
    hex64 [calls], 8
    say64 ' faults '
    hex64 [faults], 8
    say64 10
    ret

unmap:
    mov edi, TABLES
    mov ecx, PAGES
    xor eax, eax
    rep stosq
    mov rax, cr3
    mov cr3, rax
    ret

on_page_fault:
    push rax
    push rdx
    mov rax, cr2
    sub rax, WINDOW
    shr rax, 12
    mov edx, eax
    shl edx, 12
    add edx, FRAMES + 7
    mov [rax * 8 + TABLES], rdx
    inc qword [faults]
    pop rdx
    pop rax
    add rsp, 8
    iretq

BSS
    SYS64_BSS
kernel_stack: resq 1
user_stack: resq 1
calls:      resq 1
faults:     resq 1
rounds:     resd 1
ENDBSS
