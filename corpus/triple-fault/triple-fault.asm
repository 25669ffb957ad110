; A fault that cannot be delivered, whose double fault cannot be delivered either: shutdown. The run must end with
; the reason triple-fault and exit status 3. First a double fault that can be delivered, through vector 8.

%define GUEST 'triple-fault'
%include "pvh.inc"
%include "idt.inc"

main:
    call idt_init
    gate 8, on_double_fault
    mov dword [idt + 13 * 8 + 4], 0     ; #GP not present: a GP raises #NP, which is contributory: double fault
    mov [saved_esp], esp
    mov eax, 0xfff0
    mov fs, eax                         ; beyond the GDT's limit
    fail 'no fault'
after:
    line 'OK triple-fault'
    lidt [empty]
    int3
    fail 'alive after a triple fault'

on_double_fault:
    say 'double fault, error code '
    hex [esp + 4], 8                    ; the operand is read after one push
    say 10
    mov esp, [saved_esp]
    jmp after

empty:
    dw 0
    dd 0

BSS
idt:       resb 256 * 8
saved_esp: resd 1
ENDBSS
