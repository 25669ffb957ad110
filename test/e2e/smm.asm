; A 64 KiB firmware image that enters SMM in every way there is and shows what it finds at the debug console (port 0x402):
; a letter, then what the comments say. The handler first shows the 512 bytes of its save area.
;   A  handler at 0x38000, real mode, SMI by the APM port; it moves SMBASE to 0xa0000
;   B  the byte at 0xa8000 that the handler in SMRAM begins with, and what is seen there once SMRAM is closed
;   C  handler in SMRAM; it changes the saved RAX, and asks for another SMI, which comes after RSM
;   D  64-bit mode with paging; E by the local APIC; F the number of SMIs
;   U  RSM outside SMM is #UD
; Built and compared with QEMU by test/e2e/smm.test.ts.

        bits 16
        org 0
%macro say 1
        push ax
        push dx
        mov dx, 0x402
        mov al, %1
        out dx, al
        pop dx
        pop ax
%endmacro
; Write a byte of PCI configuration space.
%macro config 3
        mov dx, 0xcf8
        mov eax, 0x80000000 + %1 + (%2 & 0xfc)
        out dx, eax
        mov dx, 0xcfc + (%2 & 3)
        mov al, %3
        out dx, al
%endmacro

start:  cli
        xor ax, ax
        mov ds, ax
        mov ss, ax
        mov sp, 0x7000
        mov word [6 * 4], undefined
        mov word [6 * 4 + 2], 0xf000
        db 0x0f, 0xaa                   ; RSM
        say al
        config 0, 0x72, 0x4a            ; SMRAM open
        mov ax, 0x3000
        call install
        config 0x0b00, 0x5b, 0x02       ; APM commands make SMIs
        mov eax, 0x11223344
        mov ecx, 0x55667788
        mov edi, 0x99aabbcc
        mov bp, 0x4321
        stc
        mov al, 'A'
        out 0xb2, al
        say 'a'
        mov ax, 0xa000
        call install
        mov ax, 0xa000
        mov es, ax
        say [es:0x8000]
        config 0, 0x72, 0x0a            ; closed, seen in SMM only
        say [es:0x8000]
        mov al, 'C'
        out 0xb2, al
        say al                          ; the handler's
        jmp protect

; Copy the handler to AX:8000.
install:
        push es
        mov es, ax
        mov di, 0x8000
        mov si, handler
        mov cx, handler_end - handler
        cld
        cs rep movsb
        pop es
        ret

undefined:
        say 'U'
        mov bp, sp
        add word [bp], 2
        mov al, 'u'
        iret

; At SMBASE + 0x8000. AX, CX, DX and SI are free; the save area restores them.
handler:
        in al, 0xb2
        mov dx, 0x402
        out dx, al
        mov si, 0xfe00
        mov cx, 0x200
.dump:  mov al, [cs:si]
        out dx, al
        inc si
        loop .dump
        in al, 0xb2
        cmp al, 'A'
        jne .second
        mov dword [cs:0xff00], 0xa0000
        db 0x0f, 0xaa
.second:
        cmp al, 'C'
        jne .end
        mov byte [cs:0xfff8], 'c'
        mov al, 'c'
        out 0xb2, al
.end:   db 0x0f, 0xaa
handler_end:

gdtr:   dw gdt_end - gdt - 1
        dd 0xf0000 + gdt
        align 8
gdt:    dq 0, 0x00cf9b000000ffff, 0x00cf93000000ffff, 0x00af9b000000ffff
        dq 0x0000890010000067, 0
        dq 0x0000820020000fff, 0
gdt_end:

protect:
        o32 lgdt [cs:gdtr]
        mov eax, cr0
        or al, 1
        mov cr0, eax
        jmp dword 8:(0xf0000 + flat)

        bits 32
flat:   mov ax, 16
        mov ds, ax
        mov es, ax
        mov ss, ax
        mov esp, 0x7000
        ; 4 GiB in pages of 2 MiB, level 4 at 0x10000
        mov edi, 0x10000
        xor eax, eax
        mov ecx, 0x6000 / 4
        rep stosd
        mov dword [0x10000], 0x11003
        mov edi, 0x11000
        mov eax, 0x12003
        mov ecx, 4
.top:   mov [edi], eax
        add edi, 8
        add eax, 0x1000
        loop .top
        mov edi, 0x12000
        mov eax, 0x83
        mov ecx, 2048
.large: mov [edi], eax
        add edi, 8
        add eax, 0x200000
        loop .large
        mov eax, cr4
        or eax, 0x20
        mov cr4, eax
        mov eax, 0x10000
        mov cr3, eax
        mov ecx, 0xc0000080
        rdmsr
        or eax, 0x100
        wrmsr
        mov eax, cr0
        or eax, 0x80000000
        mov cr0, eax
        jmp 24:(0xf0000 + wide)

        bits 64
wide:   mov ax, 32
        ltr ax
        mov ax, 48
        lldt ax
        xor eax, eax
        mov fs, ax
        mov ecx, 0xc0000101
        mov eax, 0x89abcdef
        mov edx, 0xffff8123
        wrmsr                           ; GS base
        mov rax, 0x1122334455667788
        mov rbx, 0x8899aabbccddeeff
        mov r8, 0x0102030405060708
        mov r15, 0xf0e0d0c0b0a09080
        mov rsi, 0x123456789abcdef0
        mov dr0, rsi
        mov al, 'D'
        out 0xb2, al
        mov edx, 0x402
        out dx, al
        mov rcx, 0x0102030405060708
        sub rcx, r8
        jnz bad
        mov rcx, 0xf0e0d0c0b0a09080
        sub rcx, r15
        jnz bad
        mov al, 'd'
        out dx, al
        mov al, 'E'
        out 0xb2, al                    ; the next SMI finds this command
        mov edi, 0xfee00000
        mov dword [rdi + 0xf0], 0x1ff
        mov dword [rdi + 0x300], 0x40200
        nop
        mov ecx, 0x34
        rdmsr
        mov edx, 0x402
        out dx, al
        mov al, 'F'
        out dx, al
        xor eax, eax
        mov edx, 0x501
        out dx, al
bad:    hlt
        jmp bad

        times 0xfff0 - ($ - $$) db 0xff
        bits 16
        jmp 0xf000:start
        times 0x10000 - ($ - $$) db 0xff
