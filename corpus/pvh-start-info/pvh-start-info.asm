; Walks hvm_start_info as the PVH boot ABI defines it (Xen, public/arch-x86/hvm/start_info.h) and prints what a
; kernel would use: version, command line, modules, memory map, RSDP with its checksum. Addresses that the
; loader is free to choose are checked, not printed.

%define GUEST 'pvh-start-info'
%include "pvh.inc"

main:
    mov ebx, [start_info]
    cmp dword [ebx], 0x336ec578     ; XEN_HVM_START_MAGIC_VALUE
    je .magic
    fail 'magic'
.magic:
    say 'version '
    dec_ [ebx + 4]
    say ' flags '
    hex [ebx + 8], 8
    say ' modules '
    dec_ [ebx + 12]
    say 10

    say 'cmdline "'
    cmp dword [ebx + 28], 0
    jne .high
    mov esi, [ebx + 24]
    test esi, esi
    jz .no_cmdline
    call put_string
.no_cmdline:
    line '"'

    mov ecx, [ebx + 12]
    mov edi, [ebx + 16]             ; hvm_modlist_entry: paddr, size, cmdline_paddr, reserved
    test ecx, ecx
    jz .modules_done
.module:
    cmp dword [edi + 4], 0
    jne .high
    say 'module size '
    dec_ [edi + 8]
    say ' sum '
    call module_sum
    hex eax, 8
    say ' cmdline "'
    mov esi, [edi + 16]
    test esi, esi
    jz .no_module_cmdline
    call put_string
.no_module_cmdline:
    say '" text "'
    push ecx
    mov esi, [edi]
    mov ecx, [edi + 8]
    cmp ecx, 24
    jbe .short
    mov ecx, 24
.short:
    call put_chars
    pop ecx
    line '"'
    add edi, 32
    dec ecx
    jnz .module
.modules_done:

    cmp dword [ebx + 4], 1
    jb .no_map
    say 'memory map entries '
    dec_ [ebx + 48]
    say 10
    mov ecx, [ebx + 48]
    mov edi, [ebx + 40]             ; hvm_memmap_table_entry: addr, size, type, reserved
    test ecx, ecx
    jz .no_map
.entry:
    say 'map '
    hex [edi + 4], 8
    hex [edi], 8
    say ' '
    hex [edi + 12], 8
    hex [edi + 8], 8
    say ' type '
    dec_ [edi + 16]
    say 10
    add edi, 24
    dec ecx
    jnz .entry
.no_map:

    cmp dword [ebx + 36], 0
    jne .high
    mov esi, [ebx + 32]
    test esi, esi
    jnz .rsdp
    fail 'no rsdp'
.rsdp:
    say 'rsdp "'
    mov ecx, 8
    call put_chars
    say '" revision '
    movzx eax, byte [esi + 15]
    dec_ eax
    say ' oem "'
    lea edi, [esi + 9]
    xchg esi, edi
    mov ecx, 6
    call put_chars
    xchg esi, edi
    say '" checksum '
    xor eax, eax
    mov ecx, 20                     ; ACPI 1.0 part: the first 20 bytes sum to zero
.sum:
    add al, [esi]
    inc esi
    loop .sum
    hex eax, 2
    say 10
    test al, al
    jz .done
    fail 'rsdp checksum'
.done:
    ret
.high:
    fail 'structure above 4 GiB'

; EAX = sum of the bytes of the module at EDI.
module_sum:
    push ecx
    push esi
    push edx
    mov esi, [edi]
    mov ecx, [edi + 8]
    xor eax, eax
    jecxz .done
.next:
    movzx edx, byte [esi]
    add eax, edx
    inc esi
    dec ecx
    jnz .next
.done:
    pop edx
    pop esi
    pop ecx
    ret

BSS
ENDBSS
