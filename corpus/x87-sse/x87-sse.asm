; Floating point, to the bit: x87 in 80 bits (arithmetic, comparisons, conversions, rounding and precision control,
; status word, stack faults) and SSE/SSE2 (scalar, packed, conversions, MXCSR rounding, flush to zero, NaN rules,
; integer SIMD), and the exceptions #MF, #XM and #NM. Transcendental functions are left out: processors differ in their last bits.

%define GUEST 'x87-sse'
%include "pvh.inc"
%include "idt.inc"

; One x87 result: ST(0) popped and printed with the status word: exceptions, C1 and TOP (C0, C2 and C3 are undefined
; after most instructions), or all of it when a second argument says so.
%macro x87 1-2 0x3aff
    fnstsw ax
    fstp tword [ext]
    and eax, %2
    mov [status], eax
    say %1, ' '
    call put_x87
%endmacro

%macro sse 1                        ; low half of XMM0, flags of MXCSR
    say %1, ' '
    call put_double
%endmacro

%macro sse32 1
    say %1, ' '
    call put_single
%endmacro

%macro xmm 1                        ; the whole of XMM0
    say %1, ' '
    call put_xmm
%endmacro

; Start of a case: no exception flags.
%macro clear 0
    fnclex
    call clear_mxcsr
%endmacro

; One packed integer operation of the two byte vectors.
%macro simd 1
    movdqa xmm0, [bytes_a]
    %1 xmm0, [bytes_b]
%defstr simd_name %1
    xmm simd_name
%endmacro

%macro flags 1                      ; CF PF ZF after a comparison
    pushfd
    pop eax
    and eax, 0x45
    say %1, ' '
    hex eax, 2
    say 10
%endmacro

main:
    mov eax, cr0
    and eax, ~0x4                   ; EM off
    or eax, 0x22                    ; MP, NE
    mov cr0, eax
    mov eax, cr4
    or eax, 0x600                   ; OSFXSR, OSXMMEXCPT
    mov cr4, eax
    call idt_init
    gate 16, on_mf
    gate 19, on_xm
    fninit
    mov dword [mxcsr], 0x1f80
    ldmxcsr [mxcsr]

    line '-- pairs: x87 + - * /, then sse2 + - * / min max'
    mov esi, pairs
    xor ebp, ebp
.pair:
    call x87_pair
    call sse_pair
    add esi, 16
    inc ebp
    cmp ebp, (pairs_end - pairs) / 16
    jb .pair

    line '-- x87 rounding and precision'
    mov dword [index], 0
.control:
    mov eax, [index]
    mov cx, [controls + eax * 2]
    mov [control], cx
    fldcw [control]
    say 'cw '
    hex ecx, 4
    say 10
    clear
    fld1
    fdiv qword [three]
    x87 'third'
    clear
    fld qword [two]
    fsqrt
    x87 'sqrt2'
    clear
    fld qword [minus_half_up]
    frndint
    x87 'rint'
    clear
    fld qword [pi]
    fist dword [ext]
    fistp qword [ext + 8]
    say 'ints '
    hex [ext], 8
    say ' '
    hex [ext + 12], 8
    hex [ext + 8], 8
    say 10
    clear
    fld qword [pi]
    fstp dword [ext]
    fnstsw ax
    and eax, 0x3aff
    say 'single '
    hex [ext], 8
    say ' '
    hex eax, 4
    say 10
    inc dword [index]
    cmp dword [index], (controls_end - controls) / 2
    jb .control
    fninit

    line '-- x87 other'
    clear
    fldpi
    x87 'pi'
    clear
    fldl2e
    x87 'l2e'
    clear
    fldln2
    x87 'ln2'
    clear
    fldlg2
    x87 'lg2'
    clear
    fldl2t
    x87 'l2t'
    clear
    fld tword [pseudo_denormal]
    fadd qword [zero]
    x87 'pseudo-denormal'
    clear
    fld tword [unnormal]
    fadd qword [one]
    x87 'unnormal'
    clear
    fld qword [minus_one]
    fsqrt
    x87 'sqrt -1'
    clear
    fld qword [three]
    fld qword [pi]
    fscale
    fstp st1
    x87 'scale'
    clear
    fld qword [big]
    fxtract
    x87 'significand'
    x87 'exponent'
    clear
    fld qword [three]
    fld qword [big]
    fprem
    x87 'prem', 0x7fff            ; the quotient's low bits in C0, C3, C1
    fstp st0
    clear
    fld qword [three]
    fld qword [thirteen]
    fprem1
    x87 'prem1', 0x7fff            ; the quotient's low bits in C0, C3, C1
    fstp st0
    clear
    fld qword [minus_half_up]
    fabs
    fchs
    x87 'abs chs'
    clear
    fbld [packed]
    fbld [packed]
    fmul qword [three]
    fbstp [packed_out]
    x87 'bld'
    say 'bstp '
    hex [packed_out + 8], 4
    hex [packed_out + 4], 8
    hex [packed_out], 8
    say 10
    clear
    fld qword [big]
    fistp word [ext]
    fnstsw ax
    and eax, 0x3aff
    say 'integer indefinite '
    hex [ext], 4
    say ' '
    hex eax, 4
    say 10
    clear
    fld qword [minus_half_up]
    fisttp dword [ext]
    fnstsw ax
    and eax, 0x3aff
    say 'isttp '
    hex [ext], 8
    say ' '
    hex eax, 4
    say 10
    mov esi, examined
.examine:
    clear
    fld tword [esi]
    fxam
    fnstsw ax
    fstp st0
    and eax, 0x4700
    say 'xam '
    hex eax, 4
    say 10
    add esi, 10
    cmp esi, examined_end
    jb .examine
    clear
    fld qword [quiet]
    fld qword [one]
    fcomi st1
    flags 'comi unordered'
    fucomip st1
    flags 'ucomi unordered'
    fnstsw ax
    fstp st0
    say 'after '
    hex eax, 4
    say 10
    clear
    fld1
    fldz
    fcom st1
    fnstsw ax
    fcompp
    say 'com '
    hex eax, 4
    say 10
    clear
    fldz
    fld1
    stc
    fcmovb st1
    fstp st1
    x87 'cmovb'

    ; Stack overflow and underflow leave the indefinite value and say which in C1.
    clear
    mov ecx, 9
.overflow:
    fld1
    loop .overflow
    x87 'overflow'
    fninit
    fadd st1
    x87 'underflow'
    fninit
    fldz
    fldpi
    fnstenv [ext]
    say 'env tag '
    hex [ext + 8], 4
    say ' status '
    hex [ext + 4], 4
    say 10
    fldcw [default_control]
    fnsave [ext]
    frstor [ext]
    x87 'restored'
    fninit

    line '-- sse conversions'
    mov dword [index], 0
.mode:
    mov eax, [index]
    shl eax, 13
    or eax, 0x1f80
    mov [mxcsr], eax
    ldmxcsr [mxcsr]
    say 'mxcsr '
    hex eax, 4
    say 10
    cvtsd2si eax, [minus_half_up]
    call put_int
    cvtsd2si eax, [pi]
    call put_int
    cvttsd2si eax, [pi]
    call put_int
    call end_ints
    call clear_mxcsr
    movsd xmm0, [one]
    divsd xmm0, [three]
    sse 'third'
    call clear_mxcsr
    cvtsd2ss xmm0, [pi]
    sse32 'pi'
    call clear_mxcsr
    sqrtsd xmm0, [two]
    sse 'sqrt2'
    call clear_mxcsr
    cvtpd2ps xmm0, [pairs]
    xmm 'pd2ps'
    call clear_mxcsr
    cvtps2dq xmm0, [singles]
    xmm 'ps2dq'
    inc dword [index]
    cmp dword [index], 4
    jb .mode
    mov dword [mxcsr], 0x1f80
    ldmxcsr [mxcsr]

    line '-- sse other'
    call clear_mxcsr
    cvtsd2si eax, [big]
    call put_int
    cvttsd2si eax, [quiet]
    call put_int
    call end_ints
    mov eax, 0x7fffffff
    call clear_mxcsr
    cvtsi2ss xmm0, eax
    sse32 'si2ss'
    cvtsi2sd xmm0, eax
    sse 'si2sd'
    call clear_mxcsr
    movsd xmm0, [tiny]
    mulsd xmm0, [half]
    sse 'underflow'
    mov dword [mxcsr], 0x9f80       ; FTZ
    ldmxcsr [mxcsr]
    movsd xmm0, [tiny]
    mulsd xmm0, [third_ish]
    sse 'flushed'
    mov dword [mxcsr], 0x1fc0       ; DAZ
    ldmxcsr [mxcsr]
    movsd xmm0, [denormal]
    mulsd xmm0, [big]
    sse 'denormals are zeros'
    mov dword [mxcsr], 0x1f80
    ldmxcsr [mxcsr]
    movsd xmm0, [one]
    ucomisd xmm0, [quiet]
    flags 'ucomisd unordered'
    comisd xmm0, [two]
    flags 'comisd less'
    ucomisd xmm0, [one]
    flags 'ucomisd equal'
    movaps xmm0, [singles]
    addps xmm0, [singles + 16]
    xmm 'addps'
    movaps xmm0, [singles]
    mulps xmm0, [singles + 16]
    xmm 'mulps'
    movaps xmm0, [singles]
    divps xmm0, [singles + 16]
    xmm 'divps'
    sqrtps xmm0, [singles]
    xmm 'sqrtps'
    movaps xmm0, [singles]
    cmpltps xmm0, [singles + 16]
    xmm 'cmpltps'
    movaps xmm0, [singles]
    cmpunordps xmm0, [singles + 16]
    xmm 'cmpunordps'
    movaps xmm0, [singles]
    shufps xmm0, [singles + 16], 0x4e
    xmm 'shufps'
    movaps xmm0, [singles]
    haddps xmm0, xmm0
    xmm 'haddps'
    movaps xmm0, [singles]
    movmskps eax, xmm0
    say 'movmskps '
    hex eax, 2
    say 10

    line '-- integer simd'
    simd paddb
    simd paddsw
    simd psubusb
    simd pmaddwd
    simd pmulhuw
    simd pmuludq
    simd psadbw
    simd pavgb
    simd packsswb
    simd packuswb
    simd punpcklbw
    simd pcmpgtb
    simd pminub
    movdqa xmm0, [bytes_a]
    psraw xmm0, 5
    xmm 'psraw'
    movdqa xmm0, [bytes_a]
    pslldq xmm0, 5
    xmm 'pslldq'
    movdqa xmm0, [bytes_a]
    psrlq xmm0, 13
    xmm 'psrlq'
    pshufd xmm0, [bytes_a], 0x1b
    xmm 'pshufd'
    pshuflw xmm0, [bytes_a], 0xb1
    xmm 'pshuflw'
    simd pandn
    movdqa xmm0, [bytes_a]
    pmovmskb eax, xmm0
    say 'pmovmskb '
    hex eax, 4
    say 10
    movq mm0, [bytes_a]
    paddusw mm0, [bytes_b]
    movq2dq xmm0, mm0
    fnstenv [ext]
    emms
    xmm 'mmx'
    say 'mmx tag '
    hex [ext + 8], 4
    say 10

    line '-- unmasked exceptions'
    fninit
    mov word [control], 0x037b      ; ZM off
    fldcw [control]
    fld1
    fldz
    fdivp                           ; pending: reported by the next waiting instruction
    say 'pending '
    fnstsw ax
    and eax, 0xbaff
    hex eax, 4
    say 10
    fwait
    fninit
    mov dword [mxcsr], 0x1d80       ; ZM off
    ldmxcsr [mxcsr]
    movsd xmm0, [one]
    divsd xmm0, [zero]              ; faults before it changes anything, then again with the mask set
    sse 'divided'
    fldpi
    mov eax, cr0
    or eax, 8                       ; TS: device not available
    mov cr0, eax
    gate 7, on_nm
    fldz
    fcomp st1
    movsd xmm1, xmm0
    fninit
    ret

on_mf:
    push eax
    say '#MF '
    fnstsw ax
    and eax, 0xbaff
    hex eax, 4
    say 10
    fnclex
    pop eax
    iretd

on_xm:
    push eax
    say '#XM '
    stmxcsr [mxcsr]
    hex [mxcsr], 4
    movsd [ext], xmm0
    say ' xmm0 '
    hex [ext + 4], 8
    hex [ext], 8
    say 10
    mov dword [mxcsr], 0x1f80
    ldmxcsr [mxcsr]
    pop eax
    iretd

on_nm:
    line '#NM'
    clts
    iretd

; The pair at ESI, EBP its number.
x87_pair:
    say 'pair '
    dec_ ebp
    say 10
    clear
    fld qword [esi]
    fadd qword [esi + 8]
    x87 'x87 +'
    clear
    fld qword [esi]
    fsub qword [esi + 8]
    x87 'x87 -'
    clear
    fld qword [esi]
    fmul qword [esi + 8]
    x87 'x87 *'
    clear
    fld qword [esi]
    fdiv qword [esi + 8]
    x87 'x87 /'
    clear
    fld qword [esi]
    fmul qword [esi + 8]
    fstp qword [ext + 16]           ; the store rounds, overflows and underflows
    fld qword [ext + 16]
    x87 'store'
    ret

sse_pair:
    movsd xmm1, [esi]
    call clear_mxcsr
    movsd xmm0, xmm1
    addsd xmm0, [esi + 8]
    sse 'sse +'
    movsd xmm0, xmm1
    subsd xmm0, [esi + 8]
    sse 'sse -'
    movsd xmm0, xmm1
    mulsd xmm0, [esi + 8]
    sse 'sse *'
    movsd xmm0, xmm1
    divsd xmm0, [esi + 8]
    sse 'sse /'
    movsd xmm0, xmm1
    minsd xmm0, [esi + 8]
    sse 'min'
    movsd xmm0, xmm1
    maxsd xmm0, [esi + 8]
    sse 'max'
    ret

put_x87:
    hex [ext + 8], 4
    say ' '
    hex [ext + 4], 8
    hex [ext], 8
    say ' '
    hex [status], 4
    say 10
    ret

put_double:
    stmxcsr [mxcsr]
    movsd [ext], xmm0
    hex [ext + 4], 8
    hex [ext], 8
    jmp put_mxcsr

put_single:
    stmxcsr [mxcsr]
    movss [ext], xmm0
    hex [ext], 8
    jmp put_mxcsr

put_xmm:
    stmxcsr [mxcsr]
    movups [ext], xmm0
    hex [ext + 12], 8
    hex [ext + 8], 8
    hex [ext + 4], 8
    hex [ext], 8
put_mxcsr:
    say ' '
    mov eax, [mxcsr]
    and eax, 0x3f
    hex eax, 2
    say 10
    and dword [mxcsr], ~0x3f
    ldmxcsr [mxcsr]
    ret

put_int:
    say 'int '
    hex eax, 8
    say ' '
    ret

end_ints:
    stmxcsr [mxcsr]
    jmp put_mxcsr

clear_mxcsr:
    stmxcsr [mxcsr]
    and dword [mxcsr], ~0x3f
    ldmxcsr [mxcsr]
    ret

align 16
pairs:
    dq 1.0, 3.0
    dq 3.141592653589793, -2.718281828459045
    dq 1.0e300, 1.0e300                             ; overflow in double, not in extended
    dq 0x0010000000000000, 0x3fe5555555555555       ; underflow in double
    dq 0x7ff0000000000000, 0x7ff0000000000000       ; infinities
    dq 0.0, 0.0
    dq 0x8000000000000000, 0.0
    dq 1.0, 0.0
    dq 0x7ff8000000001234, 1.0                      ; quiet NaN
    dq 1.0, 0x7ff0000000005678                      ; signalling NaN
    dq 0x7ff8000000001111, 0xfff8000000002222       ; x87: the larger significand, SSE: the first operand
    dq 0xfff8000000002222, 0x7ff8000000001111
    dq 0x7ff0000000000001, 0x7ff8000000000001       ; signalling and quiet
    dq 1.0, 0x3ca0000000000000                      ; half an ulp
    dq 1.0, 0x3ca0000000000001                      ; a little more
pairs_end:
singles:
    dd 1.0, -2.5, 0x7f800000, 0x00800000
    dd 3.0, 0.5, 0x7fc01234, 2.0
bytes_a:
    db 0x01, 0x7f, 0x80, 0xff, 0x12, 0x34, 0x56, 0x78, 0x9a, 0xbc, 0xde, 0xf0, 0x00, 0x80, 0xff, 0x7f
bytes_b:
    db 0xff, 0x01, 0x80, 0x01, 0x21, 0x43, 0x65, 0x87, 0xa9, 0xcb, 0xed, 0x0f, 0x01, 0x80, 0xff, 0x7f
one:             dq 1.0
two:             dq 2.0
three:           dq 3.0
thirteen:        dq 13.0
half:            dq 0.5
zero:            dq 0.0
minus_one:       dq -1.0
minus_half_up:   dq -2.5
pi:              dq 3.141592653589793
big:             dq 1.0e17
quiet:           dq 0x7ff8000000000001
tiny:            dq 0x0010000000000001
denormal:        dq 0x0008000000000000
third_ish:       dq 0x3fd5555555555555
controls:        dw 0x037f, 0x077f, 0x0b7f, 0x0f7f, 0x007f, 0x027f, 0x0e7f
controls_end:
default_control: dw 0x037f
pseudo_denormal: dq 0x8000000000000000
                 dw 0
unnormal:        dq 0x7000000000000000
                 dw 0x4000
packed:          db 0x89, 0x67, 0x45, 0x23, 0x01, 0, 0, 0, 0, 0x80
examined:
    dt 0.0
    dt -0.0
    dt 1.0
    dq 0x8000000000000000
    dw 0x7fff
    dq 0xc000000000000001
    dw 0xffff
    dq 0x0000000000000001
    dw 0x0000
    dq 0x7000000000000000
    dw 0x4000
examined_end:

BSS
idt:        resb 256 * 8
ext:        resb 128
packed_out: resb 16
status:     resd 1
mxcsr:      resd 1
control:    resd 1
index:      resd 1
ENDBSS
