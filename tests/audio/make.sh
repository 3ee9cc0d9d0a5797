#!/bin/sh
# Makes the clips in this folder and those in ../../notebooks/audio. Needs espeak-ng (1.51) and ffmpeg: sh make.sh
# The texts that are spoken lie beside the clips, so that a test can compare. Spanish is heard better where it is
# plain: of a dozen sentences tried, this one is written down without a fault, as flac, mp3 and m4a.
set -eu
cd "$(dirname "$0")"

say() {  # voice, text file, clip, options of the encoder
    espeak-ng -v "$1" -s 150 -f "$2" --stdout |
        ffmpeg -y -loglevel error -i - -ac 1 -ar 16000 -map_metadata -1 -fflags +bitexact -flags +bitexact $4 "$3"
}

say en-us english.txt english.flac "-compression_level 12"
say en-us library.txt library.flac "-compression_level 12"
say es spanish.txt spanish.flac "-compression_level 12"
say en-us ../../notebooks/audio/english.txt ../../notebooks/audio/english.m4a "-b:a 48k"
say es ../../notebooks/audio/spanish.txt ../../notebooks/audio/spanish.mp3 "-b:a 48k"
