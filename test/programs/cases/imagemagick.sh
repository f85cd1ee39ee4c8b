# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
# shellcheck shell=bash disable=SC2034
#
# ImageMagick: draws, filters, composes and converts pictures.

programs=(/usr/bin/convert)
tools=(/usr/bin/identify)

workload() {
    local convert=/usr/bin/convert
    $convert -seed 7 -size 400x300 plasma:red-blue -define png:exclude-chunks=date,time a.png
    $convert a.png -resize 50% -rotate 30 -blur 0x3 -define png:exclude-chunks=date,time b.png
    $convert a.png b.png -gravity center -composite -colorspace Gray c.ppm
    $convert -size 200x200 xc:white -fill navy -draw 'circle 100,100 100,30' -swirl 90 d.ppm
    $convert a.png -quality 80 e.jpg
    $convert -delay 5 d.ppm \( d.ppm -flop \) \( d.ppm -negate \) -loop 0 f.gif
    /usr/bin/identify -format '%m %w %h %#\n' a.png b.png c.ppm d.ppm e.jpg f.gif
    $convert e.jpg -distort Perspective '0,0 20,30 400,0 380,10 0,300 5,290 400,300 390,280' \
        -format '%#\n' info:
}
