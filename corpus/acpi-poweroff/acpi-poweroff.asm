; Finds its way off by ACPI alone: RSDP from the start info, RSDT or XSDT, FADT, ACPI mode through the SMI command
; port, the \_S5 package in the DSDT, SLP_TYP and SLP_EN into PM1a_CNT. ACPI 6.4, sections 5.2, 4.8.3 and 7.4.2.

%define GUEST 'acpi-poweroff'
%include "pvh.inc"

main:
    mov ebx, [start_info]
    mov esi, [ebx + 32]
    test esi, esi
    jnz .rsdp
    fail 'no rsdp'
.rsdp:
    cmp dword [esi], 'RSD '
    jne .bad_rsdp
    cmp dword [esi + 4], 'PTR '
    je .signature
.bad_rsdp:
    fail 'rsdp signature'
.signature:
    mov ecx, 20
    call check_sum
    mov ebp, 4                      ; size of a table pointer
    mov edi, [esi + 16]
    cmp byte [esi + 15], 2
    jb .root
    cmp dword [esi + 24], 0
    je .root
    mov ebp, 8
    mov edi, [esi + 24]
.root:
    mov esi, edi
    call check_table
    say 'root '
    call put_signature
    say ' tables'
    mov ecx, [esi + 4]
    lea edx, [esi + ecx]            ; end
    lea edi, [esi + 36]
    xor ebx, ebx                    ; FADT
.table:
    cmp edi, edx
    jae .walked
    mov esi, [edi]
    add edi, ebp
    call check_table
    say ' '
    call put_signature
    cmp dword [esi], 'FACP'
    jne .table
    mov ebx, esi
    jmp .table
.walked:
    say 10
    test ebx, ebx
    jnz .fadt
    fail 'no FADT'
.fadt:
    say 'pm1a_cnt '
    hex [ebx + 64], 8
    say ' smi_cmd '
    hex [ebx + 48], 8
    say ' enable '
    movzx eax, byte [ebx + 52]
    hex eax, 2
    say ' pm_tmr '
    hex [ebx + 76], 8
    say 10

    ; ACPI mode: SCI_EN (bit 0 of PM1_CNT) follows the enable command.
    mov edx, [ebx + 64]
    in ax, dx
    test al, 1
    jnz .enabled
    mov al, [ebx + 52]
    mov edx, [ebx + 48]
    out dx, al
    mov ecx, 100000
    mov edx, [ebx + 64]
.enabling:
    in ax, dx
    test al, 1
    jnz .enabled
    loop .enabling
    fail 'SCI_EN never came'
.enabled:
    line 'acpi mode'

    mov esi, [ebx + 40]             ; DSDT
    call check_table
    say 'dsdt '
    call put_signature
    say 10
    mov ecx, [esi + 4]
    sub ecx, 36 + 8
    add esi, 36
.scan:
    cmp dword [esi], '_S5_'
    je .found
    inc esi
    loop .scan
    fail 'no _S5_'
.found:
    cmp byte [esi + 4], 0x12        ; PackageOp
    je .package
    fail '_S5_ is no package'
.package:
    movzx eax, byte [esi + 5]       ; PkgLength: bits 6–7 count the bytes that follow
    shr eax, 6
    lea esi, [esi + eax + 7]        ; behind PkgLength and NumElements
    xor eax, eax
    cmp byte [esi], 0x0a            ; BytePrefix; ZeroOp and OneOp are their own value
    jne .plain
    inc esi
.plain:
    mov al, [esi]
    say 'slp_typ '
    hex eax, 2
    say 10
    line 'OK acpi-poweroff'
    shl eax, 10
    or eax, SLP_EN
    mov ecx, eax
    mov edx, [ebx + 64]
    in ax, dx
    and eax, 0xc3ff
    or eax, ecx
    out dx, ax
.off:
    hlt                             ; the write may take effect some instructions later
    jmp .off

; The table at ESI: its bytes must sum to zero.
check_table:
    push ecx
    mov ecx, [esi + 4]
    call check_sum
    pop ecx
    ret

; ECX bytes at ESI must sum to zero.
check_sum:
    push eax
    push ecx
    push esi
    xor eax, eax
.next:
    add al, [esi]
    inc esi
    dec ecx
    jnz .next
    test al, al
    jz .good
    fail 'checksum'
.good:
    pop esi
    pop ecx
    pop eax
    ret

put_signature:
    push ecx
    mov ecx, 4
    call put_chars
    pop ecx
    ret

BSS
ENDBSS
