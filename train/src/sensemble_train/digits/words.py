"""The labels, the ten digits in words, and words for backgrounds, none of which sounds like a digit."""

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
