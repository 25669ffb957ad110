; Resets through the PIIX3 reset control register, port 0xcf9: a write without bit 2 does nothing, the register reads
; back, and bit 2 with bit 1 resets the machine. Run with --no-reboot, which makes the reset the end.

%define GUEST 'reset-cf9'
%include "pvh.inc"

main:
    mov dx, 0xcf9
    in al, dx
    say 'rcr '
    hex eax, 2
    mov dx, 0xcf9
    mov al, 2
    out dx, al
    in al, dx
    say ' then '
    hex eax, 2
    say 10
    line 'OK reset-cf9'
    mov dx, 0xcf9
    mov al, 6
    out dx, al
    cli
.wait:
    hlt
    jmp .wait

BSS
ENDBSS
