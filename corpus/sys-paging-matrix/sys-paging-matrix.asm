; Page protection as a matrix (Intel SDM volume 3, 4.6 and 4.7): R/W and U/S of both levels against reads, writes and
; fetches of ring 0 and ring 3, for 32-bit and PAE paging, 4-KiB and large pages, under WP, SMEP, SMAP with AC clear
; and set, and NX; then reserved bits, accessed and dirty bits, and the processor's own accesses under SMAP.
; A row is a pair of entries (upper, leaf; R/W and U/S each), its columns are the error codes of reading, writing and
; fetching in ring 0, then in ring 3; two dots stand for no fault. CR2 is checked, not printed.

%define GUEST 'sys-paging-matrix'
%include "pvh.inc"
%include "sys32.inc"

P           equ 1
RW          equ 2
US          equ 4
ACCESSED    equ 0x20
DIRTY       equ 0x40
PS          equ 0x80

CR0_WP      equ 0x10000
CR0_PG      equ 0x80000000
CR4_PSE     equ 0x10
CR4_PAE     equ 0x20
CR4_UMIP    equ 0x800
CR4_SMEP    equ 0x100000
CR4_SMAP    equ 0x200000
EFER        equ 0xc0000080
NXE         equ 0x800

ALIAS       equ 0x400000            ; the image and its data once more, for ring 3
PROBE       equ 0x800000            ; the page under test
PROBE_PD    equ PROBE >> 22
PROBE_PAE   equ PROBE >> 21

; STAC and CLAC: newer than the assembler's instruction set of the frame.
%macro set_ac 0
    db 0x0f, 0x01, 0xcb
%endmacro
%macro clear_ac 0
    db 0x0f, 0x01, 0xca
%endmacro

main:
    call sys_init
    idtgate_ 14, CODE32, on_page_fault, 0x8e00
    idtgate_ 0x30, CODE32, on_user_done, 0xee00
    mov eax, 7
    xor ecx, ecx
    cpuid
    and ebx, 0x100080
    cmp ebx, 0x100080
    je .features
    fail 'SMEP and SMAP are needed'
.features:
    mov edi, frame
    mov ecx, 4096
    mov al, 0xc3                    ; RET
    rep stosb
    mov dword [probe_flags], 2
    call build
    call legacy
    call pae
    ret

; Tables of both kinds: the first 2 MiB for ring 0, the same at ALIAS for ring 3.
build:
    mov dword [pd], identity + (P | RW)
    mov dword [pd + (ALIAS >> 22) * 4], alias + (P | RW | US)
    mov dword [pdpt], pae_pd + P
    mov dword [pae_pd], pae_identity + (P | RW)
    mov dword [pae_pd + (ALIAS >> 21) * 8], pae_alias + (P | RW | US)
    xor ecx, ecx
.next:
    mov eax, ecx
    shl eax, 12
    or eax, P | RW
    mov [identity + ecx * 4], eax
    mov [pae_identity + ecx * 8], eax
    or eax, US
    mov [alias + ecx * 4], eax
    mov [pae_alias + ecx * 8], eax
    inc ecx
    cmp ecx, 512
    jb .next
    ret

; Paging on: CR3, CR4 bits besides.
%macro paging_on 2
    mov eax, %1
    mov cr3, eax
    mov eax, cr4
    or eax, %2
    mov cr4, eax
    mov eax, cr0
    or eax, CR0_PG
    mov cr0, eax
%endmacro

paging_off:
    mov eax, cr0
    and eax, ~(CR0_PG | CR0_WP)
    mov cr0, eax
    mov eax, cr4
    and eax, ~(CR4_PSE | CR4_PAE | CR4_SMEP | CR4_SMAP)
    mov cr4, eax
    mov dword [probe_flags], 2
    ret

; The six settings of a matrix: name, WP, CR4 bits, EFLAGS of ring 0.
%macro setting 5
    line %1
    mov eax, cr0
    and eax, ~CR0_WP
    or eax, %2
    mov cr0, eax
    mov eax, cr4
    and eax, ~(CR4_SMEP | CR4_SMAP)
    or eax, %3
    mov cr4, eax
    mov dword [probe_flags], %4
    call %5
%endmacro
%macro settings 2
    setting %1, 0, 0, 2, %2
    setting {%1, ', WP'}, CR0_WP, 0, 2, %2
    setting {%1, ', WP, SMEP'}, CR0_WP, CR4_SMEP, 2, %2
    setting {%1, ', WP, SMAP'}, CR0_WP, CR4_SMAP, 2, %2
    setting {%1, ', WP, SMAP, AC'}, CR0_WP, CR4_SMAP, EFL_AC | 2, %2
    setting {%1, ', SMEP, SMAP'}, 0, CR4_SMEP | CR4_SMAP, 2, %2
%endmacro

legacy:
    mov dword [probe_at], PROBE
    paging_on pd, CR4_PSE
    settings '32-bit paging', small_matrix
    mov dword [probe_at], PROBE + frame
    settings '32-bit paging, 4-MiB pages', large_matrix
    mov eax, cr0
    or eax, CR0_WP
    mov cr0, eax
    mov eax, cr4
    and eax, ~(CR4_SMEP | CR4_SMAP)
    mov cr4, eax
    mov dword [probe_flags], 2
    line '32-bit paging, absent and reserved'
    mov dword [probe_at], PROBE
    mov dword [leaf], frame
    mov dword [upper], leaf_table + (P | RW | US)
    call set_legacy
    call show_absent_leaf
    mov dword [upper], leaf_table
    call set_legacy
    call show_absent_upper
    mov dword [probe_at], PROBE + frame
    mov dword [upper], PS | P | RW | US | 1 << 21
    call set_legacy
    call show_reserved
    mov eax, cr4
    and eax, ~CR4_PSE               ; without PSE the bit means nothing: a table at 2 MiB, all absent
    mov cr4, eax
    mov dword [upper], leaf_table + (PS | P | RW | US)
    mov dword [probe_at], PROBE
    mov dword [leaf], frame + (P | RW | US)
    call set_legacy
    say 'PS without PSE: '
    call probe_all
    call paging_off
    ret

pae:
    mov dword [is_pae], 1
    mov dword [probe_at], PROBE
    paging_on pdpt, CR4_PAE
    settings 'PAE paging', small_matrix
    mov dword [probe_at], PROBE + frame
    settings 'PAE paging, 2-MiB pages', large_matrix
    mov eax, cr4
    and eax, ~(CR4_SMEP | CR4_SMAP)
    mov cr4, eax
    mov dword [probe_flags], 2
    mov eax, cr0
    or eax, CR0_WP
    mov cr0, eax

    ; NX: without NXE it is reserved.
    mov dword [probe_at], PROBE
    mov dword [upper], leaf_table + (P | RW | US)
    mov dword [leaf], frame + (P | RW | US)
    mov dword [leaf + 4], 0x80000000
    line 'PAE paging, NX'
    say 'NXE clear: '
    call set_pae
    call probe_all
    mov ecx, EFER
    rdmsr
    or eax, NXE
    wrmsr
    mov dword [leaf + 4], 0
    say 'NXE set, executable: '
    call set_pae
    call probe_all
    mov dword [leaf + 4], 0x80000000
    say 'NX in the leaf: '
    call set_pae
    call probe_all
    mov dword [leaf], frame + P
    say 'NX in a supervisor read-only leaf: '
    call set_pae
    call probe_all
    mov dword [leaf], frame + (P | RW | US)
    mov dword [leaf + 4], 0
    mov dword [upper + 4], 0x80000000
    say 'NX above: '
    call set_pae
    call probe_all
    mov dword [upper + 4], 0
    mov dword [leaf], frame
    call set_pae
    call show_absent_leaf
    mov dword [leaf + 4], 0x7fffff00
    say 'absent, all else set: '
    call set_pae
    call probe_all
    mov dword [leaf + 4], 0
    mov dword [upper], leaf_table
    call set_pae
    call show_absent_upper
    mov dword [upper], leaf_table + (P | RW | US)
    mov dword [leaf], frame + (P | RW | US)
    mov dword [leaf + 4], 0x100     ; bit 40
    call set_pae
    call show_reserved
    mov dword [leaf + 4], 0x80000   ; bit 51
    call set_pae
    call show_reserved
    mov dword [leaf + 4], 0x100000  ; bit 52: reserved in PAE paging alone
    call set_pae
    call show_reserved
    mov dword [leaf + 4], 0
    mov dword [upper + 4], 0x40000000
    call set_pae
    call show_reserved
    mov dword [upper + 4], 0
    mov dword [upper], PS | P | RW | US | 1 << 13
    mov dword [probe_at], PROBE + frame
    call set_pae
    call show_reserved
    mov dword [probe_at], PROBE
    mov dword [upper], leaf_table + (P | RW | US)

    ; Reserved bits of the page-directory-pointer entries are found when they are loaded.
    call set_pae
    line 'page-directory pointers'
    mov dword [pdpt + 8], 2 | P
    try 'bit 1'
    mov eax, pdpt
    mov cr3, eax
    endtry0
    mov dword [pdpt + 8], 0x1e6
    try 'not present, reserved set'
    mov eax, pdpt
    mov cr3, eax
    endtry0
    mov dword [pdpt + 8], P
    mov dword [pdpt + 12], 0x100
    try 'bit 40'
    mov eax, pdpt
    mov cr3, eax
    endtry0
    mov dword [pdpt + 8], 0
    mov dword [pdpt + 12], 0
    mov eax, pdpt
    mov cr3, eax
    mov dword [pdpt + 8], pae_pd + P
    mov eax, pdpt
    mov cr3, eax
    mov dword [pdpt + 8], 0         ; kept in a register until the next load
    mov dword [probe_at], PROBE + 0x40000000
    say 'cleared in memory: '
    call probe_all
    mov eax, pdpt
    mov cr3, eax
    say 'loaded: '
    call probe_all
    mov dword [probe_at], PROBE

    ; Accessed and dirty.
    line 'accessed and dirty: upper, leaf'
%macro marks 2+
    say %1
    mov dword [upper], leaf_table + (P | RW | US)
    mov dword [leaf], frame + (P | RW | US)
    call set_pae
    mov ebx, PROBE
    %2
    call show_marks
%endmacro
    marks 'none:', nop
    marks 'read:', mov al, [ebx]
    marks 'write:', mov byte [ebx], 0xc3
    marks 'fetch:', call ebx
    marks 'add:', add byte [ebx], 0
    marks 'invlpg:', invlpg [ebx]
    marks 'prefetch and nop:', nop dword [ebx]
    marks 'cmpxchg that fails:', call cmpxchg_fails
    marks 'rep movsb of nothing:', call movsb_nothing
    say 'write to a read-only page:'
    mov dword [leaf], frame + (P | US)
    call set_pae
    mov byte [probe_kind], 1
    call probe0
    call show_marks
    say 'large page:'
    mov dword [upper], PS | P | RW | US
    call set_pae
    mov byte [PROBE + frame], 0xc3
    mov eax, [pae_pd + PROBE_PAE * 8]
    and eax, ACCESSED | DIRTY
    hex eax, 2
    say 10
    mov dword [upper], leaf_table + (P | RW | US)

    ; What the processor reads for itself is a supervisor access, and AC does not excuse it.
    line 'the processor itself, local table on a user page'
    mov dword [leaf], frame + (P | RW | US)
    call set_pae
    mov dword [frame], 0x0000ffff
    mov dword [frame + 4], 0x00cff300
    seg_ SYS_LDT, PROBE, 0xff, 0x82, 0
    idtgate_ 14, CODE32, sys_stubs + 14 * 8, 0x8e00
    mov eax, SYS_LDT
    lldt ax
    try 'SMAP clear'
    mov eax, 7
    mov es, ax
    endtry0
    mov eax, cr4
    or eax, CR4_SMAP
    mov cr4, eax
    try 'SMAP set'
    mov eax, 7
    mov es, ax
    endtry0
    try 'SMAP set, stac'
    set_ac
    mov eax, 7
    mov es, ax
    endtry0
    clear_ac
    try 'SMAP set, user page read'
    mov eax, [PROBE]
    endtry0
    try 'SMAP set, user page read after stac'
    set_ac
    mov eax, [PROBE]
    endtry0
    clear_ac
    try 'SMAP set, popfd of AC'
    push dword EFL_AC | 2
    popfd
    mov eax, [PROBE]
    push dword 2
    popfd
    endtry0
    mov eax, cr4
    and eax, ~CR4_SMAP
    mov cr4, eax
    one 'stac without SMAP', set_ac
    clear_ac

    ; UMIP.
    line 'UMIP, ring 3'
    call paging_off
    one3 'sgdt', sgdt [scratch]
    mov eax, cr4
    or eax, CR4_UMIP
    mov cr4, eax
    one3 'sgdt', sgdt [scratch]
    one3 'sidt', sidt [scratch]
    one3 'sldt', sldt [scratch]
    one3 'str', str [scratch]
    one3 'smsw', smsw [scratch]
    one3 'stac', set_ac
    one 'sgdt, ring 0', sgdt [scratch]
    mov eax, cr4
    and eax, ~CR4_UMIP
    mov cr4, eax
    ret

cmpxchg_fails:
    mov al, 0
    mov byte [frame], 0xc3
    cmpxchg [ebx], cl
    ret

movsb_nothing:
    xor ecx, ecx
    mov esi, ebx
    mov edi, ebx
    rep movsb
    ret

show_marks:
    push eax
    say ' '
    mov eax, [pae_pd + PROBE_PAE * 8]
    and eax, ACCESSED | DIRTY
    hex eax, 2
    say ' '
    mov eax, [leaf_table]
    and eax, ACCESSED | DIRTY
    hex eax, 2
    say 10
    pop eax
    ret

show_absent_leaf:
    say 'absent leaf: '
    jmp probe_all
show_absent_upper:
    say 'absent upper: '
    jmp probe_all
show_reserved:
    say 'reserved: '
    hex [upper + 4], 8
    say ':'
    push eax
    mov eax, [upper]
    test eax, PS
    jnz .bits
    xor eax, eax
.bits:
    and eax, 0x3ff000
    hex eax, 8
    pop eax
    say ' '
    hex [leaf + 4], 8
    say ' '
    jmp probe_all

; All sixteen pairs.
small_matrix:
    xor esi, esi
.next:
    mov eax, esi
    shr eax, 1
    and eax, 6
    or eax, leaf_table + P
    mov [upper], eax
    mov eax, esi
    shl eax, 1
    and eax, 6
    or eax, frame + P
    mov [leaf], eax
    call set_entries
    mov eax, [upper]
    call show_rights
    say ' '
    mov eax, [leaf]
    call show_rights
    say ' '
    call probe_all
    inc esi
    cmp esi, 16
    jb .next
    ret

; The four rights of a large page.
large_matrix:
    xor esi, esi
.next:
    lea eax, [esi * 2 + (PS | P)]
    mov [upper], eax
    call set_entries
    mov eax, [upper]
    call show_rights
    say ' '
    call probe_all
    inc esi
    cmp esi, 4
    jb .next
    mov dword [upper], 0
    ret

show_rights:
    test eax, RW
    jz .read
    say 'w'
    jmp .user
.read:
    say 'r'
.user:
    test eax, US
    jz .supervisor
    say 'u'
    ret
.supervisor:
    say 's'
    ret

set_entries:
    cmp dword [is_pae], 0
    jne set_pae
set_legacy:
    push eax
    mov eax, [upper]
    mov [pd + PROBE_PD * 4], eax
    mov eax, [leaf]
    mov [leaf_table], eax
    mov eax, cr3
    mov cr3, eax
    pop eax
    ret
set_pae:
    push eax
    mov eax, [upper]
    mov [pae_pd + PROBE_PAE * 8], eax
    mov eax, [upper + 4]
    mov [pae_pd + PROBE_PAE * 8 + 4], eax
    mov eax, [leaf]
    mov [leaf_table], eax
    mov eax, [leaf + 4]
    mov [leaf_table + 4], eax
    mov eax, cr3
    mov cr3, eax
    pop eax
    ret

; The six accesses, on one line.
probe_all:
    pushad
    mov byte [probe_kind], 0
.ring0:
    call probe0
    call show_result
    inc byte [probe_kind]
    cmp byte [probe_kind], 3
    jb .ring0
    say ' '
    mov byte [probe_kind], 0
.ring3:
    call probe3
    call show_result
    inc byte [probe_kind]
    cmp byte [probe_kind], 3
    jb .ring3
    say 10
    popad
    ret

show_result:
    say ' '
    cmp dword [result], -1
    je .none
    hex [result], 2
    ret
.none:
    say '..'
    ret

; One access of ring 0 to [probe_at]: read, write, fetch by [probe_kind]; [result] = error code or −1.
probe0:
    pushad
    mov dword [result], -1
    mov [resume_esp], esp
    mov ebx, [probe_at]
    movzx ecx, byte [probe_kind]
    push dword [probe_flags]
    popfd
    jmp [.kinds + ecx * 4]
.read:
    mov eax, [ebx]
    jmp .done
.write:
    mov byte [ebx], 0xc3
    jmp .done
.fetch:
    call ebx
.done:
    push dword 2
    popfd
    popad
    ret
align 4
.kinds: dd .read, .write, .fetch

; The same from ring 3.
probe3:
    pushad
    mov dword [result], -1
    mov [resume_esp], esp
    mov ebx, [probe_at]
    movzx ecx, byte [probe_kind]
    push dword USER_DATA
    push dword user_top + ALIAS
    push dword 2
    push dword USER_CODE
    push dword [.kinds + ecx * 4]
    mov eax, USER_DATA
    mov ds, eax
    iretd
align 4
.kinds: dd user_read + ALIAS, user_write + ALIAS, user_fetch + ALIAS

user_read:
    mov eax, [ebx]
    int 0x30
user_write:
    mov byte [ebx], 0xc3
    int 0x30
user_fetch:
    call ebx
    int 0x30

on_page_fault:
    mov eax, cr2
    cmp eax, [probe_at]
    je .address
    mov dword [result], 0xee        ; shows a wrong CR2
    jmp on_user_done
.address:
    mov eax, [esp]
    mov [result], eax
on_user_done:
    mov eax, DATA32
    mov ds, eax
    mov esp, [resume_esp]
    jmp probe0.done

BSS
    SYS32_BSS
    reserve_to 4096
pd:           resb 4096
identity:     resb 4096
alias:        resb 4096
pdpt:         resb 4096
pae_pd:       resb 4096
pae_identity: resb 4096
pae_alias:    resb 4096
leaf_table:   resb 4096
frame:        resb 4096
upper:        resd 2
leaf:         resd 2
is_pae:       resd 1
probe_at:     resd 1
probe_flags:  resd 1
result:       resd 1
resume_esp:   resd 1
scratch:      resb 16
probe_kind:   resb 1
ENDBSS
