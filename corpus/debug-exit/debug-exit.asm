; Ends through isa-debug-exit (port 0x501) with the value 0x2a, which the run is told to take as success.

%define GUEST 'debug-exit'
%include "pvh.inc"

main:
    line 'OK debug-exit'
    mov dx, 0x501
    mov eax, 0x2a
    out dx, al
    fail 'alive after debug-exit'

BSS
ENDBSS
