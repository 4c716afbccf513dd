#!/bin/sh
# check-size.sh FILE...: no function above 70 lines, no file above 600 (a test: 700).
# A function is what stands between a "{" and a "}" in the first column.
set -eu
awk -v function_lines_max=70 -v file_lines_max=600 -v test_lines_max=700 '
function file_end() {
    max = file ~ /^tests\// ? test_lines_max : file_lines_max
    if (lines > max) {
        printf "%s:%d: the file has %d lines, %d are allowed\n", file, lines, lines, max
        failed = 1
    }
}
FNR == 1 { if (file) file_end(); file = FILENAME; start = 0 }
{ lines = FNR }
/^\{/ { start = FNR; next }
/^[a-z]/ { name = $0 }
/^\}/ && start {
    n = FNR - start + 1
    if (n > function_lines_max) {
        printf "%s:%d: %d lines, %d are allowed: %s\n", FILENAME, start, n, function_lines_max, name
        failed = 1
    }
    start = 0
}
END { file_end(); exit failed }
' "$@"
