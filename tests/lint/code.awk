# Blank out comments, string and character literals of C, so that what is left is code; line numbers stay.
# Sets `code` for each line; include it in front of a program that uses it.
FNR == 1 { in_comment = 0 }
{
    code = ""; rest = $0
    while (rest != "") {
        if (in_comment) {
            end = index(rest, "*/")
            if (!end) break
            rest = substr(rest, end + 2); in_comment = 0; code = code " "; continue
        }
        if (!match(rest, /\/\*|\/\/|"([^"\\]|\\.)*"|'([^'\\]|\\.)*'/)) { code = code rest; break }
        code = code substr(rest, 1, RSTART - 1)
        piece = substr(rest, RSTART, RLENGTH); rest = substr(rest, RSTART + RLENGTH)
        if (piece == "/*") in_comment = 1
        else if (piece == "//") break
        else code = code "\"\""
    }
}
