; The BIOS services that a kernel's real-mode setup code calls, for boots without firmware (--boot linux16). Loaded at
; F000:0000. Register contracts: Ralf Brown's Interrupt List; ACPI 6.4, 15.1 (INT 15h E820); Linux's arch/x86/boot.
; What follows the code is filled in by real-mode.ts: the answers of INT 15h AH=88h and AX=E801h, and the memory map.
; There is no screen and there are no disks: INT 10h returns as it was called, as under SeaBIOS without a VGA BIOS, and
; INT 13h fails. A service of INT 15h that is not here answers as SeaBIOS does: carry set, AH = 86h.

bits 16
cpu 386
org 0

BDA             equ 0x40
BDA_EQUIPMENT   equ 0x10
BDA_MEMORY      equ 0x13
BDA_TICKS       equ 0x6c
BDA_MIDNIGHT    equ 0x70
TICKS_A_DAY     equ 0x1800b0
SMAP            equ 0x534d4150
CARRY           equ 1
ZERO            equ 0x40

; Offsets of the handlers, for the vector table: vector 8, 9, other interrupts of the first controller, those of the
; second, 11h, 12h, 13h, 15h, 16h, 1ah, all others; then that of the data behind the code.
    dw timer, keyboard, first, second, equipment, memory, disk, system, keys, clock, ignore, data

; Set or clear flags of the caller; BP is its frame: saved BP, IP, CS, FLAGS.
%macro succeed 0
    push bp
    mov bp, sp
    and byte [bp + 6], ~CARRY
    pop bp
    iret
%endmacro
%macro refuse 0
    push bp
    mov bp, sp
    or byte [bp + 6], CARRY
    pop bp
    iret
%endmacro

ignore:
    iret

; IRQ 0: counts the ticks of the day.
timer:
    push ax
    push ds
    mov ax, BDA
    mov ds, ax
    inc dword [BDA_TICKS]
    cmp dword [BDA_TICKS], TICKS_A_DAY
    jb .done
    mov dword [BDA_TICKS], 0
    inc byte [BDA_MIDNIGHT]
.done:
    pop ds
    pop ax
    jmp first

; IRQ 1: keys are taken and dropped.
keyboard:
    push ax
    in al, 0x60
    pop ax
first:
    push ax
    mov al, 0x20
    out 0x20, al
    pop ax
    iret

second:
    push ax
    mov al, 0x20
    out 0xa0, al
    out 0x20, al
    pop ax
    iret

equipment:
    push ds
    push word BDA
    pop ds
    mov ax, [BDA_EQUIPMENT]
    pop ds
    iret

memory:
    push ds
    push word BDA
    pop ds
    mov ax, [BDA_MEMORY]
    pop ds
    iret

; INT 13h: there is no such drive.
disk:
    mov ah, 1
    refuse

; INT 15h: A20 gate and memory.
system:
    cmp ax, 0xe820
    je .map
    cmp ax, 0xe801
    je .e801
    cmp ah, 0x88
    je .extended
    cmp ax, 0x2400
    je .a20_off
    cmp ax, 0x2401
    je .a20_on
    cmp ax, 0x2402
    je .a20_status
    cmp ax, 0x2403
    je .a20_support
    mov ah, 0x86
    refuse
.extended:
    mov ax, [cs:data]
    succeed
.e801:
    mov ax, [cs:data + 2]
    mov bx, [cs:data + 4]
    mov cx, ax
    mov dx, bx
    succeed
.map:
    cmp edx, SMAP
    jne .bad
    cmp ecx, 20
    jb .bad
    cmp bx, [cs:data + 6]
    jae .bad
    push si
    push di
    push cx
    imul si, bx, 20
    add si, data + 8
    mov cx, 10
    cld
    cs rep movsw
    pop cx
    pop di
    pop si
    inc bx
    movzx ebx, bx
    cmp bx, [cs:data + 6]
    jb .more
    xor ebx, ebx
.more:
    mov eax, SMAP
    mov ecx, 20
    succeed
.bad:
    mov ah, 0x86
    refuse
.a20_off:
    in al, 0x92
    and al, 0xfc                    ; bit 0 would reset the machine
    out 0x92, al
    xor ah, ah
    succeed
.a20_on:
    in al, 0x92
    or al, 2
    and al, 0xfe
    out 0x92, al
    xor ah, ah
    succeed
.a20_status:
    in al, 0x92
    shr al, 1
    and al, 1
    xor ah, ah
    succeed
.a20_support:
    mov bx, 3                       ; keyboard controller and port 92h
    xor ah, ah
    succeed

; INT 16h: the buffer is empty, no shift key is down. Who waits for a key waits for ever.
keys:
    test ah, 0xef
    jz .wait
    cmp ah, 0x01
    je .none
    cmp ah, 0x11
    je .none
    cmp ah, 0x02
    je .shifts
    cmp ah, 0x12
    je .shifts
    iret
.wait:
    sti
    hlt
    jmp .wait
.none:
    push bp
    mov bp, sp
    or byte [bp + 6], ZERO
    pop bp
    iret
.shifts:
    mov al, 0
    iret

; INT 1ah: ticks of the day, the clock's time and date in BCD.
clock:
    cmp ah, 0x00
    je .ticks
    cmp ah, 0x02
    je .time
    cmp ah, 0x04
    je .date
    refuse
.ticks:
    push ds
    push word BDA
    pop ds
    mov dx, [BDA_TICKS]
    mov cx, [BDA_TICKS + 2]
    mov al, [BDA_MIDNIGHT]
    mov byte [BDA_MIDNIGHT], 0
    pop ds
    succeed
.time:
    push ax
    mov al, 0x04
    call .read
    mov ch, al
    mov al, 0x02
    call .read
    mov cl, al
    mov al, 0x00
    call .read
    mov dh, al
    mov dl, 0                       ; no summer time
    pop ax
    succeed
.date:
    push ax
    mov al, 0x32
    call .read
    mov ch, al
    mov al, 0x09
    call .read
    mov cl, al
    mov al, 0x08
    call .read
    mov dh, al
    mov al, 0x07
    call .read
    mov dl, al
    pop ax
    succeed
.read:
    out 0x70, al
    in al, 0x71
    ret

; u16 KiB above 1 MiB for AH=88h; u16 KiB from 1 to 16 MiB, u16 64 KiB blocks from 16 MiB for E801; u16 ranges, and
; these, 20 bytes each.
align 16
data:
