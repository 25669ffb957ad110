; Follows the chain of setup_data in boot_params to its end, which a chain that comes back does not have.

%define GUEST 'setup-data-loop'
%include "linux.inc"

main:
    mov ebx, [start_info]
    cmp dword [ebx + 0x202], 'HdrS'
    jne refuse
    mov esi, [ebx + 0x250]
    mov edx, [ebx + 0x254]
..@defect:
    mov eax, edx
    or eax, esi
    jz .done
    test edx, edx
    jnz refuse
    cmp esi, 0x10000
    jb refuse
    cmp esi, 0x9f000
    ja refuse
    mov edx, [esi + 4]
    mov esi, [esi]
    jmp ..@defect
.done:
    ret

refuse:
    fail 'refused'

BSS
    resb 16
ENDBSS
