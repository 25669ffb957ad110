; Setup code that asks the BIOS for what kernels ask for, and writes the answers to 0000:5000 on. Assembled by
; bios-services.test.ts, which knows the order.

bits 16
cpu 386
org 0x26c

%macro store 1                      ; a word of the answer
    push ax
    mov ax, %1
    stosw
    pop ax
%endmacro
%macro flags 0                      ; carry and zero of the answer
    pushf
    pop ax
    and ax, 0x41
    stosw
%endmacro

start:
    xor ax, ax
    mov es, ax
    mov di, 0x5000
    cld

    mov ax, 0x2402
    int 0x15
    store ax
    mov ah, 0x88
    int 0x15
    store ax
    mov ax, 0xe801
    int 0x15
    store ax
    store bx
    store cx
    store dx
    int 0x12
    store ax
    int 0x11
    store ax
    mov ah, 0x0f
    int 0x10
    store ax
    mov ax, 0x1a00
    int 0x10
    store ax
    mov ah, 2
    int 0x16
    store ax
    mov ah, 1
    int 0x16
    flags
    mov ah, 0x41
    mov bx, 0x55aa
    mov dx, 0x80
    stc
    int 0x13
    flags
    mov ax, 0xec00
    clc
    int 0x15
    flags
    mov ah, 2
    int 0x1a
    store cx
    store dx
    mov ah, 4
    int 0x1a
    store cx
    store dx

    sti                             ; three ticks of the timer
.tick:
    hlt
    mov ah, 0
    int 0x1a
    cmp dx, 3
    jb .tick
    cli
    store dx

    xor ebx, ebx
    mov bp, di                      ; the number of ranges, then the ranges
    stosw
    mov word [es:bp], 0
.range:
    mov eax, 0xe820
    mov ecx, 20
    mov edx, 0x534d4150
    int 0x15
    jc .failed
    cmp eax, 0x534d4150
    jne .failed
    add di, cx
    inc word [es:bp]
    test ebx, ebx
    jnz .range
    mov eax, 0xe820                 ; a signature that is none
    mov ecx, 20
    xor edx, edx
    int 0x15
    flags
.failed:
    hlt
    jmp .failed
