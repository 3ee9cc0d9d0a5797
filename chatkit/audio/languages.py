"""Audio, the languages that Whisper knows, by the codes and the names that the API uses. Standard library only.

In: what somebody called a language. Out: its code, its name.
"""

TABLE = """
    af:afrikaans am:amharic ar:arabic as:assamese az:azerbaijani ba:bashkir be:belarusian bg:bulgarian bn:bengali
    bo:tibetan br:breton bs:bosnian ca:catalan cs:czech cy:welsh da:danish de:german el:greek en:english es:spanish
    et:estonian eu:basque fa:persian fi:finnish fo:faroese fr:french gl:galician gu:gujarati ha:hausa haw:hawaiian
    he:hebrew hi:hindi hr:croatian ht:haitian_creole hu:hungarian hy:armenian id:indonesian is:icelandic it:italian
    ja:japanese jw:javanese ka:georgian kk:kazakh km:khmer kn:kannada ko:korean la:latin lb:luxembourgish ln:lingala
    lo:lao lt:lithuanian lv:latvian mg:malagasy mi:maori mk:macedonian ml:malayalam mn:mongolian mr:marathi ms:malay
    mt:maltese my:myanmar ne:nepali nl:dutch nn:nynorsk no:norwegian oc:occitan pa:punjabi pl:polish ps:pashto
    pt:portuguese ro:romanian ru:russian sa:sanskrit sd:sindhi si:sinhala sk:slovak sl:slovenian sn:shona so:somali
    sq:albanian sr:serbian su:sundanese sv:swedish sw:swahili ta:tamil te:telugu tg:tajik th:thai tk:turkmen
    tl:tagalog tr:turkish tt:tatar uk:ukrainian ur:urdu uz:uzbek vi:vietnamese yi:yiddish yo:yoruba yue:cantonese
    zh:chinese
"""

NAMES = {code: name.replace("_", " ") for code, name in (pair.split(":") for pair in TABLE.split())}
"""Whisper's code (ISO 639-1 where there is one) to the name in an answer's `language`."""

CODES = {name: code for code, name in NAMES.items()}

ALSO = {
    "burmese": "my", "valencian": "ca", "flemish": "nl", "haitian": "ht", "letzeburgesch": "lb", "pushto": "ps",
    "panjabi": "pa", "moldavian": "ro", "moldovan": "ro", "sinhalese": "si", "castilian": "es", "mandarin": "zh",
    "iw": "he", "in": "id", "ji": "yi", "jv": "jw", "nb": "no", "fil": "tl", "cmn": "zh",
}  # fmt: skip
"""Other names and codes of the same; the names are those that OpenAI's Whisper takes."""

_OFFERED = "ar cs da de el en es fa fi fr he hi hu id it ja ko nl no pl pt ro ru sv tr uk vi zh"
COMMON = tuple(_OFFERED.split())
"""Those that are offered by name."""


def code_of(said: str) -> str | None:
    """Whisper's code of a language that is called by its code, with a region or a script or without, or by its name.

    >>> code_of("Spanish"), code_of("pt-BR"), code_of("zh_Hant"), code_of("klingon")
    ('es', 'pt', 'zh', None)
    """
    plain = said.strip().lower()
    first = plain.replace("_", "-").partition("-")[0]
    for name in (plain.replace("_", " "), first):
        code = CODES.get(name) or ALSO.get(name) or (name if name in NAMES else None)
        if code:
            return code
    return None


def title_of(code: str) -> str:
    """The language's name with a capital letter; the code itself where it is not known.

    >>> title_of("pt"), title_of("xx")
    ('Portuguese', 'xx')
    """
    return NAMES[code].title() if code in NAMES else code
