"""Which languages the text annotator reads, by what RapidOCR's bundled recogniser (PP-OCRv6 small) made of a printed line of each.

Its alphabet holds more than it was taught: Greek, say, which it reads with every second letter missing. What counts is the trial.
"""

# Norwegian's, Malay's and Tagalog's several codes by one trial each.
_READ = frozenset(
    {
        *(
            "af",
            "az",
            "bs",
            "ca",
            "cs",
            "da",
            "de",
            "en",
            "es",
            "et",
            "eu",
            "fi",
            "fil",
            "fr",
            "ga",
            "gl",
            "hr",
            "ht",
            "hu",
            "id",
            "it",
            "ja",
        ),
        *("la", "lb", "lt", "lv", "mi", "ms", "mt", "nb", "nl", "nn", "no", "pl", "pt", "ro", "sk", "sl", "sq", "sv", "sw", "tl", "tr"),
        *("zh", "zu"),
    }
)
# Written in Latin letters, of which its own (ế, ĝ, þ, ŵ) come out as others or not at all.
_LOSSY_LATIN = frozenset({"cy", "eo", "ha", "is", "vi", "yo"})
_SCRIPTS = frozenset({"hani", "hans", "hant", "hira", "hrkt", "jpan", "kana", "latn"})


def reads_language(hint: str) -> bool:
    """Whether the text annotator reads a language, given as in ImageContext.language_hints: "de", "zh-Hant", "sr-Latn", "ru".

    The tag is BCP-47, in any case; a script in it outweighs what the language is usually written in. False also for a language that
    was never tried.
    """
    language, *rest = hint.strip().lower().split("-")
    script = rest[0] if rest and len(rest[0]) == 4 and rest[0].isalpha() else ""
    if script:
        return script in _SCRIPTS and language not in _LOSSY_LATIN
    return language in _READ
