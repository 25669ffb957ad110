; Loads the first module, an ELF file for 1 to 2 MiB, to 15 MiB: where a segment ends is a sum of 32 bits, which wraps.

%define GUEST 'elf-size-wraps'
%include "pvh.inc"
%include "defects/defect.inc"

WINDOW      equ 0x100000            ; where the file wants to lie
WINDOW_END  equ 0x200000
LOADED      equ 0xf00000            ; where it is put

main:
    mov ebx, [start_info]
    cmp dword [ebx + 12], 0
    je refuse
    mov ebx, [ebx + 16]
    mov ebp, [ebx + 8]              ; size of the file
    mov ebx, [ebx]
    cmp dword [ebx], 0x464c457f
    jne refuse
    cmp byte [ebx + 4], 1
    jne refuse
    cmp dword [ebx + 28], 52        ; program headers behind the file's
    jne refuse
    cmp word [ebx + 42], 32
    jne refuse
    movzx ecx, word [ebx + 44]
    cmp ecx, 8
    ja refuse
    lea edx, [ebx + 52]
.segment:
    dec ecx
    js .done
    cmp dword [edx], 1
    jne .next
    mov eax, [edx + 4]              ; file content
    cmp eax, ebp
    ja refuse
    add eax, [edx + 16]
    jc refuse
    cmp eax, ebp
    ja refuse
    mov eax, [edx + 16]
    cmp eax, [edx + 20]
    ja refuse
    cmp dword [edx + 8], WINDOW
    jb refuse
    cmp dword [edx + 8], WINDOW_END
    ja refuse
    mov eax, [edx + 8]
    add eax, [edx + 20]
    cmp eax, WINDOW_END
    ja refuse
    push ecx
    mov esi, [edx + 4]
    add esi, ebx
    mov edi, [edx + 8]
    add edi, LOADED - WINDOW
    mov ecx, [edx + 16]
    rep movsb
    mov ecx, [edx + 20]
    sub ecx, [edx + 16]
    shr ecx, 2
    xor eax, eax
..@defect:
    rep stosd
    pop ecx
.next:
    add edx, 32
    jmp .segment
.done:
    ret

refuse:
    fail 'refused'

BSS
    resb 16
ENDBSS
