; Looks for the word that ends the command line by blanks alone, and never for its end.

%define GUEST 'cmdline-no-terminator'
%include "pvh.inc"
%include "defects/defect.inc"

main:
    mov ebx, [start_info]
    mov esi, [ebx + 24]
.next:
..@defect:
    lodsb
    cmp al, ' '                     ; the last word has none behind it
    jne .next
    ret

BSS
ENDBSS
