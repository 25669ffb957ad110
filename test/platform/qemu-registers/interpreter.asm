; A 64 KiB firmware image that does what a table tells it: port and memory accesses and delays, in flat 32-bit mode with
; interrupts off. What is read goes to the debug console at 0x402 as four bytes. Instructions are counted in the
; comments, because time is one nanosecond an instruction (-icount shift=0) and registers of timers depend on it.
; Entries of the table at 0x1000: operation, address, value; 32 bits each.

        bits 16
        org 0
start:  cli
        o32 lgdt [cs:gdtr]
        mov eax, cr0
        or al, 1
        mov cr0, eax
        jmp dword 8:(0xF0000 + flat)
gdtr:   dw 23
        dd 0xF0000 + gdt
        align 8
gdt:    dq 0, 0x00cf9a000000ffff, 0x00cf92000000ffff

        bits 32
flat:   mov ax, 16
        mov ds, ax
        mov es, ax
        mov ss, ax
        mov esi, 0xF1000
next:   mov ebx, [esi]                  ; six instructions to the operation
        mov edx, [esi + 4]
        mov ecx, [esi + 8]
        add esi, 12
        xor eax, eax
        jmp [0xF0000 + table + ebx * 4]
table:  dd 0xF0000 + finish
        dd 0xF0000 + in1, 0xF0000 + in2, 0xF0000 + in4
        dd 0xF0000 + out1, 0xF0000 + out2, 0xF0000 + out4
        dd 0xF0000 + read4, 0xF0000 + write4, 0xF0000 + delay
        dd 0xF0000 + skip, 0xF0000 + fill, 0xF0000 + poll
in1:    in al, dx
        jmp emit
in2:    in ax, dx
        jmp emit
in4:    in eax, dx
        jmp emit
out1:   mov al, cl
        out dx, al
        jmp next
out2:   mov ax, cx
        out dx, ax
        jmp next
out4:   mov eax, ecx
        out dx, eax
        jmp next
read4:  mov eax, [edx]
        jmp emit
write4: mov [edx], ecx
        jmp next
delay:  dec ecx                         ; two instructions a round
        jnz delay
        jmp next
skip:   in ax, dx
        dec ecx
        jnz skip
        jmp next
fill:   xor eax, eax
.word:  out dx, ax
        dec ecx
        jnz .word
        jmp next
poll:   in al, dx                       ; mask in CL, value in CH
        and al, cl
        cmp al, ch
        jne poll
        jmp next
emit:   mov dx, 0x402
        mov ecx, 4
.byte:  out dx, al
        shr eax, 8
        loop .byte
        jmp next
finish: mov dx, 0x501
        mov al, 0
        out dx, al
        hlt
        times 0x1000 - ($ - $$) db 0
        incbin "table.bin"
        times 0xfff0 - ($ - $$) db 0
        bits 16
        jmp 0xf000:start
        times 0x10000 - ($ - $$) db 0
