"""Texts that would be more than text where somebody forgot that they are not."""

from hypothesis import strategies as st

NASTY = [
    *(
        "# a",
        "1. b",
        "1) b",
        "- c",
        "+ c",
        "* c",
        "> d",
        "=",
        "---",
        "***",
        "    code",
        "\tcode",
        "```",
        "~~~",
        "`x`",
        "``",
    ),
    *(
        "![x](http://y)",
        "[x](y)",
        "[x]: y",
        "[x][y]",
        "<http://x>",
        "<img src=x>",
        "<!-- x",
        "&lt;b&gt;",
        "&#60;b>",
        "<?x",
    ),
    *(
        "a\n\n# b",
        "a\r- b",
        "a\u2028b",
        "a\u202eb",
        "a|b",
        "a\\|b",
        "a\\",
        "\\",
        "|",
        "||",
        "a  \nb",
        "~~a~~",
        "__a__",
        "*a*",
    ),
    *(
        "\x1b]8;;http://x\x07y",
        "\x00",
        "\ud800",
        "www.x.org",
        "http://x",
        "@all",
        "$x$",
        "[ ] x",
        ":",
        "",
        " ",
    ),
]
HOSTILE = st.lists(st.sampled_from(NASTY) | st.text(max_size=10), min_size=1, max_size=4).map(
    "".join
)
