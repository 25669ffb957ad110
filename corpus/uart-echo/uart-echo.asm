; Serial input by interrupt: COM1 raises IRQ 4 for every byte, the handler reads IIR, LSR and RBR and stores it, the
; main loop sleeps and echoes until a newline. The FIFO stays off and nothing is reset, so no input is lost.

%define GUEST 'uart-echo'
%include "pvh.inc"
%include "idt.inc"

main:
    call idt_init
    call pic_init
    gate 0x24, on_serial
    line 'type a line'
    outp COM1 + 4, 0x0b             ; OUT2 lets the interrupt out of the UART
    outp 0x21, 0xef
    outp COM1 + 1, 1                ; received data available
    xor ebx, ebx                    ; echoed so far
.wait:
    cmp ebx, [received]
    jne .echo
    sti
    hlt
    cli
    jmp .wait
.echo:
    mov al, [buffer + ebx]
    inc ebx
    cmp al, 10
    je .line
    cmp al, 13
    je .line
    call put_char
    cmp ebx, 200
    jb .wait
    fail 'line too long'
.line:
    say 10
    outp COM1 + 1, 0
    outp 0x21, 0xff
    say 'characters '
    dec ebx
    dec_ ebx
    say ' iir '
    hex [iir], 2
    say 10
    say 'upper case "'
    xor ecx, ecx
.upper:
    cmp ecx, ebx
    je .done
    mov al, [buffer + ecx]
    cmp al, 'a'
    jb .as_is
    cmp al, 'z'
    ja .as_is
    sub al, 0x20
.as_is:
    call put_char
    inc ecx
    jmp .upper
.done:
    line '"'
    ret

on_serial:
    push eax
    push ebx
    push edx
    mov dx, COM1 + 2
    in al, dx
    test al, 1
    jnz .next                       ; nothing pending: the last call took this byte too
    and eax, 0x0f
    mov [iir], eax
.next:
    mov dx, COM1 + 5
    in al, dx
    test al, 1
    jz .empty
    mov dx, COM1
    in al, dx
    mov ebx, [received]
    cmp ebx, 256
    jae .next
    mov [buffer + ebx], al
    inc dword [received]
    jmp .next
.empty:
    outp 0x20, 0x20
    pop edx
    pop ebx
    pop eax
    iretd

BSS
idt:      resb 256 * 8
received: resd 1
iir:      resd 1
buffer:   resb 256
ENDBSS
