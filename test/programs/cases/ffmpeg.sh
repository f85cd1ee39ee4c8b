# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
# shellcheck shell=bash disable=SC2034
#
# ffmpeg: encodes a generated film with two threads, unpacks it, filters picture and sound.

programs=(ffmpeg)

# The same pictures and sounds each time; the encoders run with options that make them repeatable.
workload() {
    ffmpeg -nostdin -v error -f lavfi -i testsrc=duration=3:size=320x240:rate=25 \
        -f lavfi -i sine=frequency=440:duration=3 -c:v mpeg4 -threads 2 -c:a aac \
        -fflags +bitexact -flags:v +bitexact -flags:a +bitexact film.mkv
    sha256sum film.mkv
    ffmpeg -nostdin -v error -threads 2 -i film.mkv -f framemd5 - | grep -v '^#' | sha256sum
    ffmpeg -nostdin -v error -i film.mkv -filter_threads 2 \
        -vf 'scale=160:120,hflip,boxblur=2,unsharp' -af 'atempo=1.5,lowpass=f=800' \
        -c:v rawvideo -c:a pcm_s16le -f nut -fflags +bitexact - | sha256sum
    ffmpeg -nostdin -v error -i film.mkv -frames:v 5 -c:v png -f image2 frame%d.png
    ls frame*.png | wc -l
}
