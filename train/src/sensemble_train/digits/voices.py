"""The voices that speak the digits, split so that no timbre and no accent is on two sides.

SVOX Pico has one recorded voice for each language. A voice of eSpeak NG is a language and a variant, its
timbre; variants with like formants stay together. Left out are those that whisper or croak; those whose
digits a linear classifier, trained on all other families, recognized in fewer than 95 of 100 cases (`Alicia`,
`RicishayMax2`, `RicishayMax3`, `zac`); and the breathy ones, whose noise differs each time (`Demonic`, `f2`,
`f3`, `f5`, `sandro`, `victor`).
"""

from typing import Literal

Side = Literal["train", "calibrate", "eval"]  # sides share no person and no phrase
SIDES: dict[str, Side] = {"pretrain": "train", "train": "train", "calibrate": "calibrate", "eval": "eval"}

WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")

OTHER_WORDS: dict[Side, tuple[str, ...]] = {
    "train": (
        "hello", "yes", "please", "water", "window", "yellow", "music", "table", "garden", "letter", "coffee",
        "morning", "paper", "orange", "doctor", "bottle", "summer", "kitchen", "picture", "money", "river",
        "dog", "house", "bird", "book", "clock", "milk", "door", "road", "green", "black", "lamp", "stop",
        "help", "cold", "bread", "cloud", "shop", "glass", "knife", "telephone", "banana", "umbrella",
        "computer", "potato", "hospital", "animal", "family", "radio", "camera", "Saturday", "butterfly",
        "good morning", "thank you", "come here", "turn it up", "open the box", "how are you", "what a day",
    ),
    "calibrate": (
        "no", "mother", "pencil", "market", "castle", "engine", "rabbit", "school", "chair", "blue", "moon",
        "wood", "fish", "plate", "hammer", "holiday", "elephant", "piano", "good night", "wait a moment",
    ),
    "eval": (
        "goodbye", "sugar", "mirror", "purple", "guitar", "basket", "village", "butter", "winter", "island",
        "dragon", "ladder", "cat", "rain", "bridge", "horse", "grass", "boat", "cheese", "ball", "lemonade",
        "tomato", "library", "bicycle", "important", "yesterday", "turn it down", "close the door",
        "see you later", "nobody knows", "my old hat", "a cup of tea",
    ),
}  # fmt: skip
NEAR_WORDS: dict[Side, tuple[str, ...]] = {
    "calibrate": (
        "C", "F", "Q", "W", "Y", "bun", "zoo", "bee", "more", "drive", "sticks", "weight", "mine", "fourteen",
        "sixty", "ninety", "thousand",
    ),
    "eval": (
        "A", "B", "D", "E", "G", "H", "I", "J", "K", "L", "M", "P", "R", "S", "T", "Z", "gun", "shoe", "knee",
        "floor", "dive", "bricks", "heaven", "gate", "line", "hero", "tune", "free", "store", "life", "sit",
        "ace", "nice", "key", "late", "eleven", "thirteen", "seventeen", "twenty", "thirty", "forty", "fifty",
        "eighty", "hundred",
    ),
}  # fmt: skip
"""Letters, rhymes and larger numbers: nearer to the digits than other words. Nothing learns from them."""

ENGLISH = (
    "en", "en-us", "en-029", "en-gb-scotland", "en-gb-x-gbclan", "en-gb-x-gbcwmd", "en-gb-x-rp", "en-us-nyc",
)  # fmt: skip
"""eSpeak's kinds of English, for all sides; `en` is British."""

VARIANTS: dict[Side, tuple[str, ...]] = {
    "train": (
        "Diogo", "Henrique", "Hugo", "michel", "miguel", "anika", "anikaRobot",
        "Gene", "Gene2",
        "max", "RicishayMax", "robosoft7", "robosoft8", "paul", "boris",
        "m7", "m8", "Nguyen", "robosoft", "robosoft2", "robosoft3", "robosoft4", "robosoft5", "robosoft6",
        "aunty", "belinda", "f4", "linda",
        "adam", "announcer", "benjamin", "david", "edward", "edward2", "klatt", "klatt2", "klatt3", "klatt4",
        "klatt5", "klatt6", "mike2", "Reed",
        "Andy", "AnxiousAndy", "Lee",
        "Alex", "fast", "m1", "m3", "m4", "Mike",
        "Denis", "grandma", "grandpa",
        "ian", "john", "Mr serious", "norbert", "pablo", "Tweaky",
    ),
    "calibrate": (
        "iven", "iven2", "iven3", "iven4",
        "steph", "steph2", "steph3",
        "ed", "Jacky", "m5", "shelby", "Storm",
    ),
    "eval": (
        "gustave", "marcelo", "Mario", "Michael",
        "quincy", "rob", "robert",
        "Andrea", "antonio", "pedro",
        "Annie", "f1", "kaukovalta", "m2", "m6", "Marco", "travis", "UniRobot",
    ),
}  # fmt: skip

ACCENTS: dict[Side, dict[str, str]] = {
    "train": {
        "cs": "zírou uan tú srí fór fajv siks sevn ejt najn",
        "el": "ζίροου ουάν του θρι φορ φάιβ σιξ σέβεν έιτ νάιν",
        "fi": "siiro van tuu srii foor faiv siks seven eit nain",
        "hi": "ज़ीरो वन टू थ्री फोर फाइव सिक्स सेवन एट नाइन",
        "id": "zirow wan tu sri for faif siks seven eit nain",
        "it": "zirou uan tu tri for faiv sics seven eit nain",
        "nl": "ziero wan toe srie foor faaif siks sevven eet nain",
        "ro": "zirou uan tu sri for faiv sics seven eit nain",
    },
    "calibrate": {
        "hu": "zíró uan tú szrí fór fájv sziksz szeven éjt nájn",
        "tr": "zirou van tu s\u0131ri for fayv siks sev\u0131n eyt nayn",
    },
    "eval": {
        "cy": "siro wan tw thri ffôr ffaif sics sefen eit nain",
        "fr": "zirau ouanne tou sri forre faïve sixe sévenne eïte naïne",
        "hr": "zirou uan tu sri for fajv siks seven ejt najn",
    },
}
"""Languages whose voices speak English with their own sounds: the ten digits as these would spell them."""


PICO_VOICES: dict[Side, dict[str, str]] = {
    "train": {"pico-en-US": " ".join(WORDS), "pico-en-GB": " ".join(WORDS)},
    "calibrate": {"pico-es-ES": "sírou uán tu zri for fáiv siks séven éit náin"},
    "eval": {"pico-fr-FR": "zirau ouanne tou sri forre faïve sixe sévenne eïte naïne"},
}
"""The voices of SVOX Pico, which speak English with the sounds of their language, as `ACCENTS`."""


def spelled(digit: int, voice: str, side: Side) -> str:
    """Return a digit in the spelling of the language of `voice`."""
    accent = (ACCENTS[side] | PICO_VOICES[side]).get(voice.partition("+")[0])
    return WORDS[digit] if accent is None else accent.split()[digit]
