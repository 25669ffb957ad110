; Descriptor tables where 64-bit kernels have them: GDT, IDT, LDT and TSS at linear addresses of the upper half, through
; page tables that map each of them in another way, first at even addresses and then at odd ones (with a command line
; that begins with "o" the other way round). Every selector is loaded through them, a breakpoint of ring 3 goes
; through IDT and TSS, IN there through the TSS's bitmap, and SGDT, SIDT and RDMSR say all 64 bits again. Intel SDM volume
; 3, 2.4, 3.4.5.1, 3.5.1, 6.14, 7.7.
; At 0x101000 beyond HIGH_CODE there is a kernel's entry, if one likes (--handoff-at 0xffffffff80101000): general
; registers are 0 there but for RSP.

%define GUEST 'high-tables'
%include "pvh.inc"

EFER        equ 0xc0000080
FS_BASE     equ 0xc0000100
GS_BASE     equ 0xc0000101
HIGH_CODE   equ 0xffffffff80000000  ; the first GiB in large pages
HIGH_DATA   equ 0xffff888000000000  ; the same, through an entry of the PML4 alone
HIGH_PAGE   equ 0xfffffe0000001000  ; idt_page, a page of 4 KiB
LDT0        equ 0x40                ; behind TSS0, both of 16 bytes
LDT_DATA    equ 0x08 | 4 | 3

; Print "name value" from 64-bit code: show 'gdtr', rax. Keeps every register.
%macro show 2
    push %2
    call show64
    db %1, 0
%endmacro

main:
    mov eax, [start_info]
    mov eax, [eax + 24]             ; cmdline_paddr
    test eax, eax
    jz .even
    cmp byte [eax], 'o'
    jne .even
    inc dword [first]
.even:
    mov dword [pml4], pdpt + 7      ; ring 3, too, as are the pages
    mov dword [pml4 + 273 * 8], pdpt + 3
    mov dword [pml4 + 508 * 8], pdpt_page + 3
    mov dword [pml4 + 511 * 8], pdpt_high + 3
    mov dword [pdpt], directory + 7
    mov dword [pdpt_high + 510 * 8], directory + 3
    mov dword [pdpt_page], directory_page + 3
    mov dword [directory_page], table + 3
    mov dword [table + 8], idt_page + 3
    mov edi, directory
    mov eax, 0x87
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
    or eax, 0x100                   ; LME
    wrmsr
    mov eax, cr0
    or eax, 0x80000000
    mov cr0, eax
    mov [saved_esp], esp
    jmp CODE64:low

back:
    mov eax, DATA32
    mov ss, eax
    mov ds, eax
    mov es, eax
    mov fs, eax
    mov gs, eax
    lgdt [gdt_pointer]              ; without paging the other one would be at its low 32 bits
    mov esp, [saved_esp]
    mov eax, cr0
    and eax, 0x7fffffff
    mov cr0, eax
    ret

bits 64
default abs
low:
    mov eax, DATA32
    mov ss, eax
    mov esp, stack_top - 0x1000
    mov rax, HIGH_CODE + high
    jmp rax
high:
    mov r15d, [first]
    call tables
    mov r15d, [first]
    xor r15d, 1
    call tables
    push CODE32
    mov eax, back
    push rax
    retfq

; All tables at R15 bytes from where they are aligned.
tables:
    mov [offset], r15
    mov esi, gdt
    lea rdi, [r15 + gdt_area]
    mov ecx, 0x50
    rep movsb
    mov rax, HIGH_DATA + tss_area
    lea rdi, [r15 + gdt_area + TSS0]
    mov ecx, 0x89
    mov edx, 0x68 + 128             ; with the bitmap up to port 0x3ff, and the byte behind it
    call system_descriptor
    mov rax, HIGH_DATA + ldt_area
    lea rdi, [r15 + gdt_area + LDT0]
    mov ecx, 0x82
    mov edx, 0x0f
    call system_descriptor
    mov rax, HIGH_DATA + stack0_top
    mov [r15 + tss_area + 4], rax   ; RSP0
    mov word [r15 + tss_area + 0x66], 0x68
    mov rax, 0x12cff3345678ffff     ; user data, base 0x12345678
    mov [r15 + ldt_area + 8], rax
    mov rax, HIGH_CODE + on_breakpoint
    lea rdi, [r15 + idt_page + 3 * 16]
    mov [rdi], ax
    mov word [rdi + 2], CODE64
    mov word [rdi + 4], 0xee00      ; interrupt gate of ring 3
    shr rax, 16
    mov [rdi + 6], rax              ; and the reserved half, which is 0
    mov word [pointer], 0x4f
    mov rax, HIGH_CODE + gdt_area
    add rax, r15
    mov [pointer + 2], rax
    lgdt [pointer]
    mov word [pointer], 4 * 16 - 1
    mov rax, HIGH_PAGE
    add rax, r15
    mov [pointer + 2], rax
    lidt [pointer]

    push CODE64
    lea rax, [rel .reloaded]
    push rax
    retfq
.reloaded:
    mov eax, USER_DATA              ; a return to ring 3 would take others away
    mov ds, eax
    mov es, eax
    mov gs, eax
    mov eax, TSS0
    ltr ax
    mov eax, LDT0
    lldt ax
    mov eax, LDT_DATA
    mov fs, eax
    mov ecx, FS_BASE
    call read_msr
    show 'fs through the ldt', rax
    mov eax, 0x00000001
    mov edx, 0xffff8880
    wrmsr
    mov ecx, GS_BASE
    mov eax, 0x82001000
    add eax, r15d
    mov edx, 0xffffffff
    wrmsr

    xor eax, eax
    xor ebx, ebx
    xor ecx, ecx
    xor edx, edx
    xor esi, esi
    xor edi, edi
    xor ebp, ebp
    xor r15d, r15d
    xor r8d, r8d
    xor r9d, r9d
    xor r10d, r10d
    xor r11d, r11d
    xor r12d, r12d
    xor r13d, r13d
    xor r14d, r14d
    cmp eax, eax
    call landmark
    mov r15, [offset]

    call breakpoint
    mov eax, user.behind
    sub rax, r13
    show 'breakpoint before', rax
    show 'line status', rbx
    show 'its stack', r12
    show 'its tss', r14
    sgdt [pointer]
    show 'gdtr', qword [pointer + 2]
    sidt [pointer]
    show 'idtr', qword [pointer + 2]
    sldt eax
    show 'ldtr', rax
    str eax
    show 'tr', rax
    mov eax, LDT_DATA
    lsl ebx, eax
    show 'limit in the ldt', rbx
    mov ecx, FS_BASE
    call read_msr
    show 'fs', rax
    mov ecx, GS_BASE
    call read_msr
    show 'gs', rax
    ret

; Descriptor of 16 bytes at RDI: base RAX + R15, type CL, limit DX.
system_descriptor:
    add rax, r15
    mov [rdi], dx
    mov [rdi + 2], ax
    mov rbx, rax
    shr rbx, 16
    mov [rdi + 4], bl
    mov [rdi + 5], cl
    mov byte [rdi + 6], 0
    mov [rdi + 7], bh
    shr rax, 32
    mov [rdi + 8], rax
    ret

; MSR ECX into RAX.
read_msr:
    rdmsr
    shl rdx, 32
    or rax, rdx
    ret

; To ring 3, and back by its breakpoint.
breakpoint:
    mov [saved_rsp], rsp
    push USER_DATA
    push stack_top - 0x2000
    pushfq
    push USER_CODE
    push user
    iretq
on_breakpoint:
    mov r12, rsp
    mov r13, [rsp]
    str r14d
    mov eax, DATA32
    mov ss, eax
    mov rsp, [saved_rsp]
    ret

bits 32
user:
    mov edx, COM1 + 5
    xor eax, eax
    in al, dx
    mov ebx, eax
    int3
.behind:
bits 64

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
    mov al, [rax + hex_digits]
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

    times 0x1000 - ($ - $$) db 0x90
landmark:
    ret
bits 32

BSS
pml4:            resb 4096
pdpt:            resb 4096
pdpt_high:       resb 4096
pdpt_page:       resb 4096
directory:       resb 4096
directory_page:  resb 4096
table:           resb 4096
idt_page:        resb 4096
gdt_area:        resb 128
tss_area:        resb 256
ldt_area:        resb 128
pointer:         resb 32
offset:          resd 2
first:           resd 1
saved_esp:       resd 1
saved_rsp:       resq 1
                 resb 1024
stack0_top:      resb 16
ENDBSS
