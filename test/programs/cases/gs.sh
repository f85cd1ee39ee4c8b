# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
# shellcheck shell=bash disable=SC2034
#
# Ghostscript: renders a generated PostScript document to pixels and to PDF and back.

programs=(gs)

workload() {
    cat >work.ps <<'PS'
%!PS
/Helvetica findfont 14 scalefont setfont
1 1 6 {
    /page exch def
    0 1 120 {
        /i exch def
        i 17 mul 600 mod i 41 mul page add 780 mod moveto
        i 120 div 0.3 page 6 div setrgbcolor
        (line ) show i 10 string cvs show
        newpath 300 400 i 2 mul 0 i 3 mul arc stroke
    } for
    /d 2000 dict def
    0 1 1999 { d exch 40 string put } for
    showpage
} for
PS
    gs -q -dBATCH -dNOPAUSE -dSAFER -sDEVICE=ppmraw -r72 -sOutputFile=page%d.ppm work.ps
    sha256sum page*.ppm
    gs -q -dBATCH -dNOPAUSE -dSAFER -sDEVICE=pdfwrite -sOutputFile=work.pdf work.ps
    gs -q -dBATCH -dNOPAUSE -dSAFER -sDEVICE=pnggray -r50 -dNumRenderingThreads=2 \
        -sOutputFile=pdf%d.png work.pdf
    sha256sum pdf*.png
}
