; Reads the machine's own memory map, the fw_cfg file etc/e820 (packed 20-byte entries), and prints it with the
; amount of RAM it describes; compares with CMOS 0x34/0x35, where firmware of old looked.

%define GUEST 'e820'
%include "pvh.inc"
%include "fwcfg.inc"

main:
    mov ax, FW_CFG_FILE_DIR
    call fw_cfg_select
    call fw_cfg_be32
    mov ebx, eax
.find:
    test ebx, ebx
    jz .none
    mov edi, entry_buffer
    mov ecx, 64
    call fw_cfg_read
    mov esi, name
    lea edi, [entry_buffer + 8]
    mov ecx, 9
    repe cmpsb
    je .found
    dec ebx
    jmp .find
.none:
    fail 'no etc/e820'
.found:
    mov ax, [entry_buffer + 4]
    xchg al, ah
    call fw_cfg_select
    mov eax, [entry_buffer]
    bswap eax
    xor edx, edx
    mov ecx, 20
    div ecx
    mov ebx, eax
    say 'entries '
    dec_ eax
    say ' rest '
    dec_ edx
    say 10
    xor ebp, ebp
.entry:
    test ebx, ebx
    jz .done
    mov edi, entry_buffer
    mov ecx, 20
    call fw_cfg_read
    say 'base '
    hex [edi + 4], 8
    hex [edi], 8
    say ' length '
    hex [edi + 12], 8
    hex [edi + 8], 8
    say ' type '
    dec_ [edi + 16]
    say 10
    cmp dword [edi + 16], 1
    jne .next
    mov eax, [edi + 8]
    shr eax, 10
    add ebp, eax
    mov eax, [edi + 12]
    shl eax, 22
    add ebp, eax
.next:
    dec ebx
    jmp .entry
.done:
    say 'ram KiB '
    dec_ ebp
    say 10

    outp 0x70, 0x34                 ; memory above 16 MiB in units of 64 KiB
    in al, 0x71
    movzx ecx, al
    outp 0x70, 0x35
    in al, 0x71
    movzx eax, al
    shl eax, 8
    or eax, ecx
    shl eax, 6
    add eax, 16 * 1024
    say 'cmos KiB '
    dec_ eax
    say 10
    cmp eax, ebp
    je .agree
    fail 'cmos and e820 differ'
.agree:
    ret

name: db 'etc/e820', 0

BSS
entry_buffer: resb 64
ENDBSS
