// Small guests of the regression tests, each of which reads one thing and prints it: sources for nasm, with the corpus's
// include files. What they print is of no account; that they look at it is.

export const program = (name: string, text: string): string =>
  `%define GUEST '${name}'\n%include "pvh.inc"\n%include "fwcfg.inc"\n${text}\nBSS\nbuffer: resb 4096\nENDBSS\n`;

export const readSector = `
main:
    outp 0x1f6, 0xe0
    outp 0x1f2, 1
    outp 0x1f3, 3                   ; LBA 3
    outp 0x1f4, 0
    outp 0x1f5, 0
    outp 0x1f7, 0x20
    mov dx, 0x1f7
.busy:
    in al, dx
    test al, 0x08
    jz .busy
    mov dx, 0x1f0
    mov edi, buffer
    mov ecx, 256
    rep insw
    say 'sector '
    mov esi, buffer
    call put_string
    say 10
    ret`;

export const readClock = `
main:
    outp 0x70, 7
    in al, 0x71
    say 'day '
    hex eax, 2
    say 10
    ret`;

export const readProcessor = `
main:
    mov eax, 1
    cpuid
    say 'features '
    hex ecx, 8
    say 10
    ret`;

export const readSmbios = `
main:
    mov esi, 0xf0000
.search:
    cmp dword [esi], '_SM_'
    je .found
    add esi, 16
    cmp esi, 0x100000
    jb .search
    fail 'no SMBIOS'
.found:
    movzx ecx, word [esi + 22]
    mov esi, [esi + 24]
    xor ebx, ebx
.sum:
    movzx eax, byte [esi]
    rol ebx, 1
    add ebx, eax
    inc esi
    loop .sum
    say 'sum '
    hex ebx, 8
    say 10
    ret`;

export const readItem = (item: string): string => `
main:
    mov ax, FW_CFG_FILE_DIR
    call fw_cfg_select
    mov edi, buffer
    mov ecx, 4
    call fw_cfg_read
    mov ebx, [buffer]
    bswap ebx
.entry:
    mov edi, buffer
    mov ecx, 64
    call fw_cfg_read
    mov esi, buffer + 8
    mov edi, wanted
.compare:
    mov al, [esi]
    cmp al, [edi]
    jne .other
    inc esi
    inc edi
    test al, al
    jnz .compare
    mov ecx, [buffer]
    bswap ecx
    mov ax, [buffer + 4]
    xchg al, ah
    call fw_cfg_select
    mov edi, buffer
    call fw_cfg_read
    say 'first '
    hex [buffer], 8
    say 10
    ret
.other:
    dec ebx
    jnz .entry
    fail 'no such file'
wanted: db '${item}', 0`;
