; Steps through a newc archive by the sizes in its headers, which may be anything.

%define GUEST 'cpio-name-size'
%include "pvh.inc"
%include "defects/defect.inc"

main:
    mov ebx, [start_info]
    cmp dword [ebx + 12], 0
    je refuse
    mov esi, [ebx + 16]
    mov esi, [esi]
.member:
..@defect:
    cmp dword [esi], '0707'
    jne .done
    lea edi, [esi + 94]             ; c_namesize
    call number
    mov ecx, eax
    lea edi, [esi + 54]             ; c_filesize
    call number
    cmp dword [esi + 110], 'TRAI'
    je .done
    lea esi, [esi + ecx + 110 + 3]
    and esi, ~3
    lea esi, [esi + eax + 3]
    and esi, ~3
    jmp .member
.done:
    ret

; EAX = eight hexadecimal digits at EDI.
number:
    push ecx
    push edx
    xor eax, eax
    mov ecx, 8
.next:
    movzx edx, byte [edi]
    sub edx, '0'
    cmp edx, 9
    jbe .digit
    sub edx, 'a' - '0' - 10
.digit:
    shl eax, 4
    or eax, edx
    inc edi
    loop .next
    pop edx
    pop ecx
    ret

refuse:
    fail 'refused'

BSS
ENDBSS
