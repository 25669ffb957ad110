; Puts the module below the end of the first RAM, without a look at its size.

%define GUEST 'initrd-over-low-memory'
%include "pvh.inc"
%include "defects/defect.inc"

main:
    checked_map
    unless_low_ram refuse
    cmp eax, LOW_END                ; the end of conventional memory
    ja refuse
    cmp eax, LOW_START
    jb refuse
    cmp dword [ebx + 12], 1
    jb refuse
    mov edx, [ebx + 16]
    cmp edx, LOW_END
    ja refuse
    mov ecx, [edx + 8]
    mov edi, eax
    sub edi, ecx                    ; below 0 for one that is larger
    mov esi, [edx]
    cmp esi, 0x100000
    jb refuse
    cmp esi, 0x1000000
    jae refuse
    cmp ecx, 0xc00000
    ja refuse
..@defect:
    rep movsb
    ret

refuse:
    fail 'refused'

BSS
ENDBSS
